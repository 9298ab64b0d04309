"""What is the case on the host."""
