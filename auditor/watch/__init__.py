"""A rewrite followed live: the keys of some resources are read once, then every change to them is watched."""
