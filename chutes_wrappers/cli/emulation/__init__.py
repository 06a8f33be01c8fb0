"""The steps of ``--emulate``: the image, the deployment and the report."""
