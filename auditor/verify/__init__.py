"""Reports held against their hashes and the evidence."""
