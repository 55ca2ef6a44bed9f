"""What the tests share: the fixtures and their truth, the command in a process of its own, repaired damage."""

import base64
import hashlib
import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from auditor.evidence.bbolt.meta import fnv1a

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
SNAPSHOTS = sorted(FIXTURES.glob("migration-aescbc/*.db")) + sorted(FIXTURES.glob("providers/*.db"))
MIGRATION = FIXTURES / "migration-aescbc"
PROVIDERS = FIXTURES / "providers"


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def truth(snapshot: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(snapshot.with_suffix(".truth.json").read_text())
    return loaded


def command(*arguments: str | Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run the real command; its output is captured as text."""
    line = [sys.executable, "-m", "auditor", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=120, **options)


def canaries(snapshot: Path) -> list[bytes]:
    """Every canary of a fixture, raw and in the codings in which one could leave."""
    found: set[bytes] = set()
    for secret in truth(snapshot)["secrets"].values():
        for text in (secret["canary"], *secret.get("earlier", [])):
            raw = text.encode()
            found |= {raw, raw.hex().encode()}
            # the middle of each base64 alignment, so that neighbours do not matter
            for shift in range(3):
                coded = base64.b64encode(b"\0" * shift + raw)
                found.add(coded[4 : len(coded) - 4])
    return sorted(found)


def repaired(data: bytes) -> bytes:
    """A mutated snapshot with both metas' checksums and the trailer made right again."""
    body = bytearray(data[:-32])
    for page in (0, 4096):
        if len(body) >= page + 80:
            body[page + 72 : page + 80] = struct.pack("<Q", fnv1a(bytes(body[page + 16 : page + 72])))
    return bytes(body) + hashlib.sha256(body).digest()
