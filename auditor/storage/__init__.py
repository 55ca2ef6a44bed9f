"""What Kubernetes put into etcd: registry keys, provider prefixes, envelopes and objects. Knows nothing of files."""
