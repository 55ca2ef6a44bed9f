"""Columns of positions in one buffer: numpy, nothing of etcd."""
