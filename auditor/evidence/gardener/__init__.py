"""Backups of etcd-backup-restore, which Gardener uses."""
