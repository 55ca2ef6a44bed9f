"""dqlite's data directory, in which MicroK8s and Canonical Kubernetes keep kine's table: raft's log and snapshots."""
