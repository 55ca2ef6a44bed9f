"""Archives and compressed streams, hardened."""
