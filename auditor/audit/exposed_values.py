"""The values that somebody without a key can read, once each: the ground of the list of what to rotate.

Values are compared by a keyed hash in memory, whose key is random for each run: nothing of it is kept or written.
"""

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from auditor.audit.used_by import UNKNOWN, secrets_of
from auditor.hunt.hit import Hit
from auditor.judgement.selection import Selection
from auditor.kubernetes import credentials, keepers, secret_content
from auditor.kubernetes.credential_classes import REST, TOKEN, CredentialClass, class_of, is_beside
from auditor.kubernetes.keepers import HERE, Keeper
from auditor.kubernetes.secret_content import HELM, SecretContent
from auditor.model.findings import Rows
from auditor.model.vocabulary import BaselineState, Encoding, FindingKind, Opened, Provider
from auditor.text import printable

SHORT = 8
"""Bytes below which equal values of two Secrets are no copies of each other: chance makes them equal."""
ACCOUNT = b"kubernetes.io/service-account.name"
"""Annotation of a token's Secret: its service account."""
READABLE = FindingKind.PLAINTEXT | FindingKind.KNOWN_KEY


_run_key = secrets.token_bytes(32)
"""Of the hashes of this run; nothing but a process of the same run gets it."""


def run_key() -> bytes:
    """The random key of this run's hashes."""
    return _run_key


def share(key: bytes) -> None:
    """Use the key of the process that merges what this one finds."""
    global _run_key  # noqa: PLW0603
    _run_key = key


class Identity(NamedTuple):
    """What makes two values the same: their hash, and of short ones where they stand; None for a fragment."""

    digest: bytes | None
    place: tuple[tuple[bytes, bytes], bytes] | None = None


class Holder(NamedTuple):
    """One value of one Secret. The value itself is not kept."""

    secret: tuple[bytes, bytes]
    """Namespace and name."""
    field: bytes
    """Name of the value; empty where the Secret could not be read whole."""
    kind: CredentialClass
    keeper: Keeper
    end: str
    """valid_until of the value."""
    account: tuple[bytes, bytes] | None
    """Service account of a token."""
    manifest: tuple[str, ...]
    """Secrets of a Helm release's manifest."""
    state: BaselineState | None


@dataclass
class ExposedValues:
    """Values by their identity."""

    holders: dict[Identity, dict[tuple[tuple[bytes, bytes], bytes], Holder]] = field(default_factory=dict)
    current: set[bytes] = field(default_factory=set)
    """Hashes of all values of current Secrets."""
    unread: bool = False
    """Whether the value of a current Secret was not read."""
    bundles: set[tuple[bytes, bytes]] = field(default_factory=set)
    empty: set[tuple[bytes, bytes]] = field(default_factory=set)


class Gathering:
    """Gathers the values of all selections."""

    def __init__(self, table: Rows, hits: Sequence[Hit]) -> None:
        """A gathering without values.

        Args:
            table: the rows of the report, with the baseline's states.
            hits: of a hunt.
        """
        self.values = ExposedValues()
        self._key = _run_key
        self._states = _states(table)
        # keys that lie in the evidence, as PROVIDER/NAME, and copies: etcd key and name of the value
        self._open_keys = {hit.copy.owner for hit in hits if hit.opens is not None}
        self._copies = {(hit.copy.owner, hit.copy.field) for hit in hits if hit.opens is None}

    def add_current(self, values: Selection) -> None:
        """Add what the current Secrets of a selection hold."""
        for row in secrets_of(values):
            if not values.served[row]:
                continue
            content = self._content(values, row)
            if content is None:
                self.values.unread = True
            else:
                self.values.current.update(self._digest(value) for _, value in content.data)

    def add(self, values: Selection) -> None:
        """Add the readable values of the Secrets of a selection."""
        exposed = (values.findings & np.uint16(READABLE)) != 0
        for number, label in enumerate(values.key_labels):
            if f"{label.provider.label}/{label.name}" in self._open_keys:
                exposed |= (values.key_label == number) & (values.opened == Opened.YES)
        copied = {owner for owner, _ in self._copies}
        for row, secret in secrets_of(values).items():
            key = printable(values.batch.key(row)) if copied and values.batch.key_at[row] >= 0 else ""
            if not (exposed[row] or key in copied):
                continue
            content = self._content(values, row)
            if content is None:
                if exposed[row]:
                    self._hold(Identity(None, (secret, b"")), _fragment(secret, self._state(values, row)))
            elif exposed[row]:
                self._expose(secret, content, self._state(values, row))
            else:
                names = {name for owner, name in self._copies if owner == key}
                self._expose(secret, content, self._state(values, row), names)

    def _content(self, values: Selection, row: int) -> SecretContent | None:
        if values.prefixes.provider[row] == Provider.IDENTITY:
            return secret_content.decode(values.batch.value(row), Encoding(int(values.prefixes.encoding[row])))
        if row in values.plaintexts:
            return secret_content.decode(values.plaintexts[row], Encoding(int(values.prefixes.encoding[row])))
        return None

    def _state(self, values: Selection, row: int) -> BaselineState | None:
        return self._states.get((values.batch.source, int(values.batch.offset[row])))

    def _digest(self, value: bytes) -> bytes:
        return hashlib.blake2b(value.strip(), key=self._key, digest_size=16).digest()

    def _expose(
        self,
        secret: tuple[bytes, bytes],
        content: SecretContent,
        state: BaselineState | None,
        only: Iterable[str] | None = None,
    ) -> None:
        """Add the values of a Secret that authenticate. only: names of those that lie elsewhere; None for all."""
        chosen = _credentials(content)
        if not chosen:
            (self.values.bundles if any(value.strip() for _, value in content.data) else self.values.empty).add(secret)
        fields = [name for name, _ in content.data]
        keeper = keepers.keeper_of(content.owners, content.notes)
        for name, value in chosen:
            if only is not None and printable(name) not in only:
                continue
            kind = class_of(content.type, name, content.labels, fields)
            account = (
                (secret[0], content.annotations[ACCOUNT]) if kind == TOKEN and ACCOUNT in content.annotations else None
            )
            manifest = secret_content.manifest_secrets(value) if content.type == HELM else ()
            end = _end(content, name, value)
            place = None if len(value.strip()) >= SHORT else (secret, name)
            identity = Identity(self._digest(value), place)
            self._hold(identity, Holder(secret, name, kind, keeper, end, account, manifest, state))

    def _hold(self, identity: Identity, holder: Holder) -> None:
        own = self.values.holders.setdefault(identity, {})
        place = holder.secret, holder.field
        if place in own:
            # a certificate renewed under its key, or copies of which the baseline has one
            known = own[place]
            state = known.state if known.state is BaselineState.UNCHANGED else holder.state
            holder = holder._replace(end=latest([known.end, holder.end]), state=state)
        own[place] = holder


def latest(ends: Iterable[str]) -> str:
    """The latest of some `valid_until`; that none is stated, or known, whatever the others say."""
    distinct = set(ends) - {credentials.NOTHING}
    words = (credentials.NONE_STATED, UNKNOWN)
    return next((word for word in words if word in distinct), max(distinct, default=credentials.NOTHING))


def _states(table: Rows) -> dict[tuple[str, int], BaselineState]:
    """The baseline's state of each stored value, by source and offset."""
    states: dict[tuple[str, int], BaselineState] = {}
    if table.columns:
        cells = zip(table.columns["source"], table.columns["offset"], table.findings, strict=True)
        for source, offset, findings in cells:
            for finding in findings:
                if finding.baseline is not None and isinstance(offset, int):
                    states[str(source), offset] = finding.baseline
    return states


def _credentials(content: SecretContent) -> list[tuple[bytes, bytes]]:
    """Names and bytes of the values that authenticate; what stands beside them counts where nothing else does."""
    hidden = [
        (name, value)
        for name, value in content.data
        if credentials.valid_until(b"", [(name, value)]) != credentials.NOTHING
    ]
    return [(name, value) for name, value in hidden if not is_beside(name)] or hidden


def _end(content: SecretContent, name: bytes, value: bytes) -> str:
    """valid_until of one value: a key's is that of the certificates beside it."""
    if content.type == credentials.BOOTSTRAP:
        return credentials.valid_until(content.type, content.data)
    public = [
        (other, part)
        for other, part in content.data
        if other != name and credentials.valid_until(b"", [(other, part)]) == credentials.NOTHING
    ]
    return credentials.valid_until(b"", [(name, value), *public])


def _fragment(secret: tuple[bytes, bytes], state: BaselineState | None) -> Holder:
    """A Secret of which only a part is left."""
    return Holder(secret=secret, field=b"", kind=REST, keeper=HERE, end=UNKNOWN, account=None, manifest=(), state=state)
