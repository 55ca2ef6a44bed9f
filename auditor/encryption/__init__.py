"""Decryption of values: configurations, keys, ciphers and KMS plugins."""
