"""What the platform would refuse about a module, or break on, told on the user's machine before anything is built."""
