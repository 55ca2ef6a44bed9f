"""Stores whose Secrets are sealed under KMS v1 or v2 with data keys that any service may have wrapped."""

import hashlib
import hmac
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from auditor.find.everywhere import everywhere
from auditor.options import Options
from auditor.protobuf.envelope_pb2 import EncryptedObject
from tests.helpers.ciphertexts import PREFIXES
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import database, gcm

CANARY = b"KMS-CANARY-%d-7c1f0b9a2e"
Wrap = Callable[[bytes], bytes]
"""What a service does to 32 bytes."""


def damaged(wrapped: bytes) -> bytes:
    """A wrapped key with a wrong last bit."""
    return wrapped[:-1] + bytes([wrapped[-1] ^ 1])


@dataclass
class Store:
    """Secrets in the order in which they are added, and the truth about them."""

    rng: random.Random = field(default_factory=lambda: random.Random(7))
    pairs: list[tuple[bytes, bytes]] = field(default_factory=list)
    deks: list[bytes] = field(default_factory=list)
    """Every data key and seed: none of their bytes may leave."""
    wrapped: list[bytes] = field(default_factory=list)
    """What each of them was wrapped to."""

    def _secret(self) -> StoredObject:
        number = len(self.pairs)
        data = {b"password": CANARY % number}
        return StoredObject(name=b"s%d" % number, namespace=b"shop", data=data)

    @property
    def canaries(self) -> list[bytes]:
        return [CANARY % number for number in range(len(self.pairs))]

    def v1(self, name: str, wrap: Wrap, count: int = 1) -> None:
        """Secrets of KMS v1, a data key each."""
        for _ in range(count):
            thing, dek = self._secret(), self.rng.randbytes(32)
            self.deks.append(dek)
            wrapped = wrap(dek)
            self.wrapped.append(wrapped)
            body = gcm(dek, thing.protobuf(), thing.key, self.rng)
            value = PREFIXES["kms v1"] + name.encode() + b":" + len(wrapped).to_bytes(2, "big") + wrapped + body
            self.pairs.append((thing.key, value))

    def v2(
        self,
        name: str,
        wrap: Wrap,
        count: int = 1,
        *,
        key_id: str = "kek",
        annotations: Mapping[str, bytes] | None = None,
        seed: bool = True,
    ) -> None:
        """Secrets of KMS v2 under one seed, or one data key."""
        dek = self.rng.randbytes(32)
        self.deks.append(dek)
        wrapped = wrap(dek)
        self.wrapped.append(wrapped)
        for _ in range(count):
            thing = self._secret()
            info = self.rng.randbytes(32) if seed else b""
            inner = hmac.digest(dek, info + b"\x01", hashlib.sha256) if seed else dek
            body = info + gcm(inner, thing.protobuf(), thing.key, self.rng)
            stored = EncryptedObject(encrypted_data=body, key_id=key_id.encode(), encrypted_dek_source=wrapped)
            stored.encrypted_dek_source_type = int(seed)
            for annotation, text in (annotations or {}).items():
                stored.annotations[annotation] = text
            self.pairs.append(
                (thing.key, PREFIXES["kms v2"] + name.encode() + b":" + stored.SerializeToString(deterministic=True))
            )

    def check(self, path: Path, *kms: str) -> None:
        """Through --kms every Secret of the saved store holds what was put into it, and nothing else does.

        Args:
            path: of save().
            kms: NAME=URL of each.
        """
        search = everywhere([str(path)], Options(kms=kms, kms_confirmed=True), self.canaries)
        occurrences = [occurrence for exhibit in search.exhibits for occurrence in exhibit.occurrences]
        held = sorted((each.value - 1, each.key, each.decrypted, each.current) for each in occurrences)
        wanted = [(number, key.decode(), True, True) for number, (key, _) in enumerate(self.pairs)]
        assert held == wanted, [pair for pair in zip(held, wanted, strict=False) if pair[0] != pair[1]][:3]
        assert search.complete

    def save(self, path: Path) -> Path:
        return database(path, self.pairs)
