"""Data keys that stand in KMS values as they are, or in base64: what toy plugins write opens without any KEK.

Sources: k8s.io/apiserver .../envelope/testing (the mock wraps in base64), kubernetes/kms' earlier mocks (the same),
ondat/trousseau's provider `debug` (a line `debug:-:` and base64).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from auditor.encryption.kms.interface import NO_ANNOTATIONS
from auditor.judgement.selection import Selection
from auditor.kubernetes import wrapped_keys
from auditor.model.vocabulary import KMS_PROVIDERS, FindingKind, Provider, State

SIZES = frozenset({16, 24, 32})
LENGTHS = np.array(sorted({16, 24, 32, *(len(base64.b64encode(bytes(size)).rstrip(b"=")) for size in SIZES), 44}))
"""Bytes of a key, as it is and in base64 with its padding and without."""
DEBUG = b"debug:-:"
REASON = "its data key stands in the value itself{how}: whoever has it needs no KEK"
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]+={0,2}")


class _Given:
    """An Unwrapper that answers with one data key."""

    def __init__(self, dek: bytes) -> None:
        self._dek = dek

    def unwrap(self, wrapped: bytes, key_id: str = "", annotations: Mapping[str, bytes] = NO_ANNOTATIONS) -> bytes:  # noqa: ARG002
        return self._dek


def mark(selections: Sequence[Selection]) -> None:
    """Mark KMS values that open with a data key that stands in them."""
    for values in selections:
        for row, how in _opening(values):
            values.mark([row], FindingKind.KNOWN_KEY, REASON.format(how=how))


def _opening(values: Selection) -> Iterator[tuple[int, str]]:
    """Row of each such value, and how its data key is written."""
    batch, claims = values.batch, values.prefixes
    kms = np.isin(claims.provider, KMS_PROVIDERS)
    kms &= (batch.key_at >= 0) & ~batch.has(State.HEAD_LOST | State.TAIL_LOST)
    if not kms.any():
        return
    at, length = wrapped_keys.positions(batch, claims)
    rows = np.flatnonzero(kms & (length > 0))
    # only wrapped keys as long as a key, and texts of several lines, are looked at one by one
    lines = batch.data.starts_with(at[rows], length[rows], DEBUG) | (batch.data.find(at[rows], length[rows], 10) >= 0)
    rows = rows[np.isin(length[rows], LENGTHS) | (lines & (length[rows] < 1 << 10))]
    for row, wrapped in zip(rows.tolist(), batch.data.slices(at[rows], length[rows]), strict=True):
        for dek, how in _keys(wrapped):
            if _opens(values, row, dek):
                yield row, how
                break


def _keys(wrapped: bytes) -> Iterator[tuple[bytes, str]]:
    """The data keys that a wrapped key may be, and how each is written."""
    if len(wrapped) in SIZES:
        yield wrapped, ""
    texts = [wrapped, *(line.removeprefix(DEBUG) for line in wrapped.splitlines() if line.startswith(DEBUG))]
    for text in texts:
        if not _BASE64.fullmatch(text):
            continue
        padded = text.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
        try:
            dek = base64.b64decode(padded + b"=" * (-len(padded) % 4), validate=True)
        except (binascii.Error, ValueError):
            continue
        if len(dek) in SIZES:
            yield dek, " in base64"


def _opens(values: Selection, row: int, dek: bytes) -> bool:
    """Whether a data key opens a value to the beginning of an object."""
    from auditor.encryption.keyring import FORMS  # loads ciphers, which evidence without such values does not need
    from auditor.encryption.transformers import encoding

    batch, claims = values.batch, values.prefixes
    begin = int(claims.name_at[row] + claims.name_len[row]) + 1
    payload = batch.data.slice(begin, int(batch.value_at[row] + batch.value_len[row]) - begin)
    (key,) = batch.associated(np.array([row]))
    for form in FORMS[Provider(int(claims.provider[row]))].values():
        plaintext = form(_Given(dek)).open(payload, key)
        if plaintext is not None and encoding(plaintext):
            return True
    return False
