"""The model of an audit: its results, as reports read them."""
