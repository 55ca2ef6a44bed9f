"""A rewrite followed while it runs: the keys of some resources read once, then every change to them."""
