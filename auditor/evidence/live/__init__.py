"""A live etcd as evidence: the snapshot that a member streams, or the keys that a credential may read."""
