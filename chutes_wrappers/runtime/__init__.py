"""The code that runs on the instance, beside the wrapped service. It uses only dependencies of the SDK."""
