"""What stands at an offset of evidence, for people."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from auditor.reports.terminal import facts

MEANING = {
    "k8s\\x00": "an object in protobuf, not encrypted",
    "{": "an object in JSON, not encrypted",
    "\\xd9\\xd9\\xf7": "an object in CBOR, not encrypted",
}
"""What a value is that begins so."""


def write(row: Mapping[str, Any], findings: Sequence[str], signature: str, console: Console, *, same: bool) -> None:
    """Print the row at an offset, and what was read again there.

    Args:
        row: Columns of the inventory.
        findings: Names of findings.
        signature: The first bytes of the row's value, printable; empty where it has none.
        console: Where to.
        same: Whether they, or the row's bytes, are there.
    """
    offset, size, source = int(row["offset"]), int(row["size"]), str(row["source"])
    state = "as recorded" if same else "differs"
    if signature:
        what = MEANING.get(signature, "an encrypted value, by its prefix")
        stands = f"{signature} ({what}): {state}, read again from the file" if same else f"other bytes: {state}"
    else:
        stands = f"no signature: {state}, read again from the file; what this row is of may begin with content"
    count = len(signature.encode("latin-1", "replace").decode("unicode_escape")) if signature else 0
    lines = {
        "Offset": f"{offset:,} in {source}, {size:,} bytes",
        "Row": str(row["id"]),
        "Object": _object(row),
        "Finding": ", ".join(findings) or "none",
        "Place": str(row["place"]) or "unknown",
        "Stands": stands,
    }
    if count:
        unpacked = source.partition("!")[2]  # of a container: its own file is named after it, unpacked
        name = unpacked.rpartition("!")[2] or source
        command = f"dd if={shlex.quote(name)} bs=1 skip={offset} count={count} status=none | od -c"
        lines["By hand"] = f"unpack {source}, then {command}" if unpacked else command
    console.print(facts({name: text for name, text in lines.items() if text}))
    if not same:
        console.print(Text("The file is not what it was when it was read first: scan it again."))


def _object(row: Mapping[str, Any]) -> str:
    name = "/".join(filter(None, (str(row["namespace"]), str(row["name"]))))
    return f"{row['resource']} {name}".strip()
