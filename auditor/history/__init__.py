"""One object through every place and revision that the evidence holds of it."""
