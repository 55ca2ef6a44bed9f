"""Containers of evidence: what gzip, zip, tar and others hold, unpacked into private files that have no name."""
