"""What Kubernetes stores: resource, provider, key name and encoding of every record."""
