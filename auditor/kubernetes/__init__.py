"""Kubernetes' records: resource, provider, key name and encoding."""
