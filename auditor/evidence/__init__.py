"""Where bytes lie: snapshot files, bbolt pages, MVCC revisions. Knows nothing of Kubernetes."""
