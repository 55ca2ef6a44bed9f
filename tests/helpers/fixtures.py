"""The snapshots in fixtures/: their paths, what is known to be in them, damage behind right checksums."""

import base64
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from auditor.evidence.bbolt.meta import fnv1a
from auditor.protobuf import kubernetes_pb2 as pb

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
SNAPSHOTS = sorted(FIXTURES.glob("*/*.db"))
MIGRATION = FIXTURES / "migration-aescbc"
PROVIDERS = FIXTURES / "providers"
PLAINTEXT = MIGRATION / "1-plaintext.db"
REWRITTEN = MIGRATION / "3-rewritten.db"
DEFRAGMENTED = MIGRATION / "5-defragmented.db"


def truth(snapshot: Path) -> dict[str, Any]:
    """What is known to be in one of SNAPSHOTS."""
    document: dict[str, Any] = json.loads(snapshot.with_suffix(".truth.json").read_text())
    return document


def stored_secrets(snapshot: Path) -> list[tuple[bytes, pb.Secret]]:
    """Every readable protobuf Secret that the audit places in a snapshot: its stored bytes and what they decode to."""
    import auditor

    raw, rows = snapshot.read_bytes(), auditor.scan(snapshot).inventory
    rows = rows[(rows["provider"] == "identity") & (rows["encoding"] == "protobuf")]
    secrets = []
    for offset, size in zip(rows["offset"].tolist(), rows["size"].tolist(), strict=True):
        value = raw[offset : offset + size]
        secrets.append((value, pb.Secret.FromString(pb.Unknown.FromString(value[4:]).raw)))
    return secrets


def name_of(path: Path) -> str:
    """The name of a snapshot in the ids of tests."""
    return f"{path.parent.name}/{path.stem}"


def canaries(snapshot: Path) -> list[bytes]:
    """Every canary of a fixture, raw and in the codings in which one could leave."""
    spellings: set[bytes] = set()
    for secret in truth(snapshot)["secrets"].values():
        for text in (secret["canary"], *secret.get("earlier", [])):
            raw = text.encode()
            spellings |= {raw, raw.hex().encode()}
            # the middle of each base64 alignment, so that neighbours do not matter
            for shift in range(3):
                coded = base64.b64encode(b"\0" * shift + raw)
                spellings.add(coded[4 : len(coded) - 4])
    return sorted(spellings)


def repair(data: bytes) -> bytes:
    """A mutated snapshot with both metas' checksums and the trailer made right again."""
    body = bytearray(data[:-32])
    for page in (0, 4096):
        if len(body) >= page + 80:
            body[page + 72 : page + 80] = struct.pack("<Q", fnv1a(bytes(body[page + 16 : page + 72])))
    return bytes(body) + hashlib.sha256(body).digest()
