"""A client of the wrapped service, made from its specification and by other code than the gateway's."""
