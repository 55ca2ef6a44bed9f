"""Which values are judged, by which criteria, and what is found."""
