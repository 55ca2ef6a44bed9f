"""Reports of a rewrite."""
