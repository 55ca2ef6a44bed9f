"""etcd: backend, MVCC, snapshot, write-ahead log, dumps."""
