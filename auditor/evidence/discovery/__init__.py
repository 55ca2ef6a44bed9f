"""Arguments of the command line -> exhibits."""
