"""The search for values that the user names: whether the evidence holds them, and where."""
