"""Where bytes lie: files, containers, and the records of each store. Judges nothing, and names no resource."""
