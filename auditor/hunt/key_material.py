"""Key material in the evidence itself: encryption configurations in any object or place, and OpenShift's key Secrets.

Sources: k8s.io/apiserver pkg/apis/apiserver (EncryptionConfiguration); library-go pkg/operator/encryption/secrets
(names, the data key and the mode annotation of OpenShift's key Secrets); rke cluster/state.go (full-cluster-state).
"""

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from auditor.arrays.buffer import Buffer
from auditor.encryption.configuration import Key, ProviderEntry, parse
from auditor.encryption.strict_yaml import ConfigurationError
from auditor.evidence import configuration_texts
from auditor.hunt.needles import Needle, secrets
from auditor.judgement.selection import Selection
from auditor.kubernetes import objects
from auditor.model.vocabulary import FindingKind, Provider
from auditor.text import encode, printable

MARKS = (b"EncryptionConfiguration", b'"EncryptionConfig"', b"kind: EncryptionConfig\n")
"""Texts that identify an encryption configuration."""
LARGEST = 1 << 20
"""Bytes of the largest configuration."""
MOST_PARSED = 1 << 19
"""Bytes of texts that may be configurations which are parsed for one text, but for the first: YAML takes its time."""
DEEPEST = 32
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_=-]+")
_START = re.compile(rb'\{|apiVersion:|kind:|"apiVersion"')
_OPENSHIFT_KEY = re.compile(rb"encryption-key-.*-(\d+)")
_OPENSHIFT_FIELD = b"encryption.apiserver.operator.openshift.io-key"
_OPENSHIFT_MODE = b"encryption.apiserver.operator.openshift.io/mode"
_MODES = {
    b"aescbc": Provider.AESCBC,
    b"aesgcm": Provider.AESGCM,
    b"secretbox": Provider.SECRETBOX,
}


@dataclass(frozen=True, slots=True)
class EvidenceKey:
    """A key that the evidence holds."""

    entry: ProviderEntry = field(repr=False)
    """Provider, with this one key."""
    where: str
    """Etcd key of its holder, or its place and offset; printable."""
    newest: int = -1
    """Highest mod revision of the values that hold it; -1 where none is known."""

    @property
    def label(self) -> str:
        """PROVIDER/NAME, printable."""
        name = encode(self.entry.keys[0].name)
        return f"{self.entry.provider.label}/{printable(name)}"


def needles() -> list[Needle]:
    """Needles for the texts that identify an encryption configuration, in every form."""
    return [Needle(mark, -1, FindingKind.KEY_PRESENT, ((b"configuration", b""),), frozenset()) for mark in MARKS]


def configured(
    buffer: Buffer, start: int, size: int, *, coded: bool, where: str, revision: int = -1
) -> Iterator[EvidenceKey]:
    """The keys of the configuration around a hit.

    Args:
        buffer: the bytes that hold it.
        start: start of the hit of one of MARKS.
        size: bytes of the hit.
        coded: whether the hit stands in base64.
        where: holder or place of the configuration, printable.
        revision: mod revision of the holder; -1 where it is not known.
    """
    low = max(0, start - LARGEST)
    around = buffer.slice(low, size + 2 * LARGEST)
    text = _run(around, start - low, _BASE64 if coded else _TEXT)
    if coded:
        text = _decoded(text)
    for document in documents(text):
        for entry in _entries(document):
            for key in entry.keys:
                yield EvidenceKey(ProviderEntry(entry.provider, (key,)), where, revision)


def openshift(selections: Sequence[Selection]) -> Iterator[EvidenceKey]:
    """The keys that OpenShift's operators keep, one in each Secret `encryption-key-<component>-<number>`."""
    for values in selections:
        for row, plaintext, encoding in secrets(values):
            key = values.key(row)
            match = _OPENSHIFT_KEY.fullmatch(key.rpartition(b"/")[2])
            if not match:
                continue
            data = dict(objects.data(plaintext, encoding))
            secret = next((value for name, value in data.items() if name == _OPENSHIFT_FIELD), b"")
            mode = objects.annotations(plaintext).get(_OPENSHIFT_MODE, b"")
            if secret and mode in _MODES:
                entry = ProviderEntry(_MODES[mode], (Key(match[1].decode(), secret),))
                yield EvidenceKey(entry, printable(key), int(values.batch.mod_revision[row]))


def _run(around: bytes, at: int, kind: re.Pattern[bytes]) -> bytes:
    """The longest run of bytes of one kind around a position."""
    # from the position both ways: a store may hold a thousand configurations within these bytes
    before, behind = kind.match(around[at::-1]), kind.match(around, at)
    return around[at + 1 - before.end() : behind.end()] if before and behind else b""


def _decoded(text: bytes) -> bytes:
    """The bytes of base64 of either alphabet, at the alignment under which one of the marks appears."""
    text = text.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    for skip in range(4):
        part = text[skip : skip + (len(text) - skip) // 4 * 4]
        rest = text[skip + len(part) :]
        try:
            plain = base64.b64decode(part + (rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""))
        except ValueError:
            continue
        if any(mark in plain for mark in MARKS):
            return plain
    return b""


def documents(text: bytes) -> Iterator[bytes]:
    """Texts that may be a configuration: each view of this one from each of its starts on, texts inside a JSON
    document, and blocks of YAML inside another text.
    """
    parsed = 0
    for view in configuration_texts.views(text):
        for document in (*configuration_texts.blocks(view), *_starts(view)):
            if (parsed := parsed + len(document)) > MOST_PARSED and parsed > len(document):
                return
            yield document


def _starts(text: bytes, depth: int = 0) -> Iterator[bytes]:
    for begin in [match.start() for match in _START.finditer(text)][:64]:
        part = text[begin:]
        yield part
        if part.startswith(b"{"):
            try:
                tree, end = json.JSONDecoder().raw_decode(part.decode("utf-8", "replace"))
            except (ValueError, RecursionError):
                continue
            yield part.decode("utf-8", "replace")[:end].encode()
            if depth < 3:
                for leaf in _leaves(tree, 0):
                    if "EncryptionConfig" in leaf:
                        yield from _starts(leaf.encode("utf-8", "surrogatepass"), depth + 1)


def _leaves(part: Any, depth: int) -> Iterator[str]:
    """The texts of a tree."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict) and depth < DEEPEST:
        for value in part.values():
            yield from _leaves(value, depth + 1)
    elif isinstance(part, list) and depth < DEEPEST:
        for value in part:
            yield from _leaves(value, depth + 1)


def _entries(document: bytes) -> list[ProviderEntry]:
    """The local providers of a configuration; none where it is none."""
    if len(document) > LARGEST:
        return []
    try:
        configuration = parse(document, "evidence")
    except ConfigurationError:
        return []
    return [entry for entry in configuration.providers if entry.keys]
