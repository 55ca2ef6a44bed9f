"""Reports, a module a format, all of the same `Audit`. None judges anything."""
