"""How values are decrypted: keys, providers and KMS plugins."""
