"""What can be asked of the services. Each function is an operation: see `calls`."""
