"""One module a format, each made from the same `Audit`. None knows how anything was found."""
