"""Reports, a module a format, all of the same `Audit`. None knows how a finding was made."""
