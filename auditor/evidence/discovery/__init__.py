"""What was named -> exhibits."""
