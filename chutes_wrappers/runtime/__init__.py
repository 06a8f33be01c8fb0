"""What runs on the instance, beside the wrapped service. Only what the SDK brings."""
