"""Raw bytes: disk images, partitions, memory, cores, swap: stored values in them by signature, at any alignment."""
