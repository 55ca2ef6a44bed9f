"""Value ids: one for each data value, the same wherever it stands, by a key that only the fleet's owner has.

HMAC-SHA256 (RFC 2104, FIPS 198-1) over the value alone, truncated to 96 bits. Key and table together allow guessing
weak passwords: the key is to be kept as an encryption key. Public, common and short values get no id.
"""

import hmac
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from auditor import inputs
from auditor.audit.rows import ids
from auditor.errors import UsageError
from auditor.judgement import current_values, secret_values
from auditor.judgement.secret_comparison import Habit
from auditor.judgement.selection import Selection
from auditor.model.vocabulary import FindingKind, Opened, Provider, State
from auditor.text import printable, shown

if TYPE_CHECKING:
    from auditor.audit.judgement import Judgement
    from auditor.encryption.configuration import Configuration

SIZE = 32
"""Bytes of a key."""
DIGITS = 24
"""Hexadecimal digits of a value id: 96 bits."""
_CHECK = b"etcd-auditor fleet compare key"
_READABLE = np.uint16(FindingKind.PLAINTEXT | FindingKind.KNOWN_KEY)


def new_key() -> str:
    """The text of a new key."""
    return secrets.token_hex(SIZE) + "\n"


def read_key(path: str) -> bytes:
    """The key in a file. Raises UsageError."""
    where = f"--compare-key {shown(path)}"
    try:
        text = inputs.read(Path(path), inputs.LARGEST).strip()
        raw = bytes.fromhex(text.decode("ascii"))
    except OSError as error:
        raise UsageError(f"{where} cannot be read: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{where}: expected {SIZE} bytes in hex, as `fleet new-key` makes them") from None
    if len(raw) != SIZE:
        raise UsageError(f"{where}: {len(raw)} bytes; expected {SIZE}, as `fleet new-key` makes them")
    return raw


def check_value(key: bytes) -> str:
    """What tells one key from another, and nothing else of it."""
    return hmac.digest(key, _CHECK, sha256).hex()[:8]


@dataclass(slots=True)
class ValueIds:
    """The value ids of one backup, gathered while its judgements are at hand."""

    key: bytes = field(repr=False)
    """The key; empty for none: then nothing is gathered but the clusters."""
    clusters: list[str] = field(default_factory=list)
    """Uid of the cluster of each exhibit, whatever redaction makes of it."""
    rows: list[tuple[str, str, str, bool, bool]] = field(default_factory=list, repr=False)
    """Row id, field, value id, whether it is current, whether it is readable."""
    common: int = 0
    """Values that are public, common or short."""
    configurations: int = 0
    """EncryptionConfigurations that it was held to: one for each API server."""
    listed: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many of these list each key: provider and name, as the table `keys` has them."""
    unread: int = 0
    """Secrets of which not every value could be read."""

    def gather(self, judgement: "Judgement") -> None:
        """Add the values of a judgement."""
        self.clusters.append(judgement.cluster.identity)
        self._count(judgement.criteria.configurations)
        if not self.key:
            return
        for values in judgement.selections:
            self._add(values, judgement)

    def _count(self, configurations: "Sequence[Configuration]") -> None:
        self.configurations = max(self.configurations, len(configurations))
        counts: Counter[tuple[str, str]] = Counter()
        for configuration in configurations:
            counts.update(
                {
                    (entry.provider.label, shown(name))
                    for entry in configuration.providers
                    for name in ([key.name for key in entry.keys] or [entry.name])
                }
            )
        self.listed |= counts

    def _add(self, values: Selection, judgement: "Judgement") -> None:
        secret = secret_values.are_secrets(values)
        legible = (values.prefixes.provider == Provider.IDENTITY) | (values.opened == Opened.YES)
        self.unread += int((secret & ~legible).sum())
        rows = np.flatnonzero(secret & legible)
        if not rows.size:
            return
        row_ids = ids(values.take(rows))
        current = current_values.current(values)[rows].tolist()
        readable = ((values.findings[rows] & _READABLE) != 0) | (values.prefixes.provider[rows] == Provider.IDENTITY)
        cut = values.batch.has(State.TAIL_LOST | State.HEAD_LOST)[rows].tolist()
        habit = Habit()
        cells = zip(rows.tolist(), row_ids, current, readable.tolist(), cut, strict=True)
        for row, row_id, is_current, is_readable, is_cut in cells:
            pairs = secret_values.text_pairs(values, row, judgement.criteria.keyring)
            self.unread += is_cut or not pairs
            for name, text in pairs:
                if habit.common(name, text):
                    self.common += 1
                else:
                    digest = hmac.digest(self.key, text, sha256).hex()[:DIGITS]
                    self.rows.append((row_id, printable(name), digest, is_current, is_readable))
