"""Fleets: every backup of every cluster into one Parquet data set, and the questions across them."""
