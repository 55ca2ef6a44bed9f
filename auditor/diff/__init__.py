"""Two exhibits of one cluster compared."""
