"""The history of one object: its versions in every place and revision of the evidence."""
