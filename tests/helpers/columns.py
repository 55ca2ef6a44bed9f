"""The columns of every table of findings and of every inventory, as the design lists them."""

# fmt: off
COLUMNS = [
    "id", "evidence", "place", "finding", "severity", "judged", "resource", "namespace", "name", "uid", "key",
    "provider", "key_name", "kek_id", "encoding", "decrypted", "same_as_latest", "type", "data_keys",
    "valid_until", "used_by", "created", "create_revision", "mod_revision", "version", "state", "source", "offset",
    "size", "extents", "page", "also_in", "detail",
]
# fmt: on
