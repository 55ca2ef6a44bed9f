"""Open the selected values with what was supplied, and hold each to the object that its etcd key names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from auditor.columns import Bools, Ints, chunks, counts
from auditor.model import Finding, Opened, Place, Provider, State
from auditor.rules import Rules
from auditor.selection import Selection
from auditor.storage import objects, values
from auditor.text import object_name, printable, restore

if TYPE_CHECKING:
    from auditor.encryption.keyring import Candidate, Keyring

AT_ONCE = 1 << 12
"""Values whose bytes are held together."""
KINDS = {"secrets": b"Secret", "configmaps": b"ConfigMap", "pods": b"Pod", "namespaces": b"Namespace"}
"""Kinds, of version v1, that a resource's objects must be of; of others namespace and name are held to the key."""


def open_all(each: Selection, rules: Rules, keyring: Keyring, *, keep: bool = False) -> Selection:
    """The selection with every encrypted value tried and judged. What has lost its key or a part is not tried.

    keep: whether the plaintexts are kept, for a hunt.
    """
    batch, stored = each.batch, each.values
    bits, opened, label, kinds = each.bits.copy(), each.opened.copy(), each.label.copy(), stored.encoding.copy()
    whole = each.told & (batch.key_at >= 0) & ~batch.has(State.HEAD_LOST | State.TAIL_LOST)
    encrypted = stored.provider > Provider.IDENTITY
    opened[encrypted & ~whole] = Opened.NOT_TRIED
    prefix = np.where(stored.malformed, 0, stored.name_at + stored.name_len + 1 - batch.value_at)
    names = [(resource.name, len(restore(resource.path)) + 1) for resource in each.resource]
    by: dict[Candidate, int] = {}
    longer: dict[int, int] = {}
    found: dict[int, objects.Object] = {}
    reasons: dict[int, str] = {}
    plaintexts: dict[int, bytes] = {}
    every = np.flatnonzero(encrypted & whole)
    for part in chunks(every.size, AT_ONCE):
        rows = every[part]
        keys = batch.data.slices(batch.key_at[rows], batch.key_len[rows].astype(np.int64))
        texts = batch.data.slices(batch.value_at[rows], batch.value_len[rows].astype(np.int64))
        for row, key, value, which, size in zip(
            rows.tolist(), keys, texts, each.of[rows].tolist(), prefix[rows].tolist(), strict=True
        ):
            resource, head = names[which]
            attempt = keyring.open(resource, key, value)
            opened[row], finding, reason = attempt.opened, 0, attempt.reason
            if attempt.by is not None:
                label[row] = len(each.labels) + by.setdefault(attempt.by, len(by))
            if attempt.opened is Opened.YES:
                kinds[row] = attempt.encoding
                if keep:
                    plaintexts[row] = attempt.plaintext
                found[row] = said = objects.decode(attempt.plaintext, attempt.encoding)
                finding, reason = _hold(said, resource, key[head:])
            elif attempt.opened is Opened.FAILED and attempt.by is not None:
                finding = Finding.UNDECRYPTABLE
                longer[row] = size - len(attempt.by.prefix)
            bits[row] |= np.uint16(finding)
            if reason:
                reasons[row] = reason
    for row in _under_other_names(each, longer, every.size):
        # what was tried is a key whose name is the beginning of this one's
        opened[row], label[row] = Opened.NO_KEY, each.label[row]
        bits[row] &= ~np.uint16(Finding.UNDECRYPTABLE)
        del reasons[row]
    labels = [(each.provider, printable(each.name.encode("utf-8", "surrogateescape"))) for each in by]
    made = replace(
        each,
        values=replace(stored, encoding=kinds),
        bits=bits,
        opened=opened,
        label=label,
        labels=(*each.labels, *labels),
        found=found,
        reasons=reasons,
        plaintexts=plaintexts,
        secrets=tuple(candidate.secret for candidate in by),
    )
    current = each.in_force & batch.at(Place.LATEST)
    candidates = list(by)
    _judge_known(made, rules, candidates)
    _judge_keys(made, rules, keyring, candidates, np.flatnonzero(each.in_force & encrypted & whole))
    _judge_unreadable(made, rules, each.in_force & each.told & ~encrypted)
    if rules.policy.configured or rules.current_keks:
        _judge_keks(made, rules, current)
        _judge_forms(made, candidates, current)
    return made


def _hold(said: objects.Object, resource: str, rest: bytes) -> tuple[int, str]:
    """Whether an opened value is the object that the rest of its etcd key names."""
    if said.problem:
        return Finding.UNDECRYPTABLE, f"opens to nonsense: {said.problem}"
    namespace, slash, name = rest.partition(b"/")
    expected = (namespace, name) if slash else (b"", namespace)
    wanted = KINDS.get(resource)
    if (said.namespace, said.name) == expected and (wanted is None or (said.api_version, said.kind) == (b"v1", wanted)):
        return 0, ""
    type_ = b" ".join(part for part in (said.api_version, said.kind) if part)
    where = object_name(said.namespace, said.name)
    return Finding.MISPLACED, f"opens as a different object: {printable(type_)} {where}"


def _under_other_names(each: Selection, longer: dict[int, int], count: int) -> Iterator[int]:
    """Of the values that did not open: those whose key name is longer than that of the key tried, by payload shapes.

    longer: by row, how many bytes. A nonce may begin as the rest of a name would: so many must share it that chance
    does not explain it, of the `count` values there are.
    """
    rows = np.array([row for row, more in longer.items() if more > 0], np.int64)
    for _, places in _groups(each.label[rows]):
        mine = rows[places].tolist()
        if len(mine) > 1 + 8 * count / 256 ** longer[mine[0]]:
            yield from mine


def _judge_known(each: Selection, rules: Rules, candidates: Sequence[Candidate]) -> None:
    own = len(each.labels) - len(candidates)
    for number, candidate in enumerate(candidates, own):
        if reason := rules.policy.known(candidate):
            opened = (each.label == number) & (each.opened == Opened.YES)
            _mark(each, np.flatnonzero(opened), Finding.KNOWN_KEY, reason)


def _judge_keys(each: Selection, rules: Rules, keyring: Keyring, candidates: Sequence[Candidate], rows: Ints) -> None:
    """Mark current values that the API server cannot read, or that it would write otherwise today."""
    own = len(each.labels) - len(candidates)
    shape = (len(each.resource), len(each.labels), len(Opened))
    codes = np.ravel_multi_index((each.of[rows], each.label[rows], each.opened[rows]), shape)
    for code, mine in _groups(codes):
        which, label, state = (int(part) for part in np.unravel_index(code, shape))
        resource = each.resource[which].name
        by = candidates[label - own] if label >= own else None
        if rules.policy.configured and state != Opened.FAILED and by not in keyring.rule(resource):
            _mark(each, rows[mine], Finding.ORPHANED)
            continue
        secret = by.secret if by is not None and state == Opened.YES else b""
        _mark(each, rows[mine], rules.policy.stale(resource, each.labels[label], secret))
        if by is not None and state == Opened.YES and by.aged:
            _mark(each, rows[mine], Finding.STALE_PROVIDER, "its body is AES-CBC: written as AES-GCM since 1.25")


def _judge_unreadable(each: Selection, rules: Rules, current: Bools) -> None:
    """Mark values without a known provider that no provider of a resource's rule reads: plain ones need identity."""
    for which, _ in counts(each.of[current].astype(np.int64)):
        mine = current & (each.of == which)
        if rules.policy.reads_plaintext(each.resource[which].name):
            claims = each.batch.data.starts_with(
                each.batch.value_at, each.batch.value_len.astype(np.int64), values.ENCRYPTED
            )
            mine &= claims if rules.policy.configured else False
        _mark(each, np.flatnonzero(mine), Finding.ORPHANED)


def _judge_keks(each: Selection, rules: Rules, current: Bools) -> None:
    """Mark current KMS v2 values whose KEK is not the one in force; where none is known, the newest is presumed."""
    at, length = values.kek_ids(each.batch, each.values)
    rows = np.flatnonzero((length >= 0) & current)
    ids = each.batch.data.slices(at[rows], length[rows])
    names = [each.labels[number][1] for number in each.label[rows].tolist()]
    newest: dict[str, tuple[int, bytes]] = {}
    for revision, name, kek in zip(each.batch.main[rows].tolist(), names, ids, strict=True):
        newest[name] = max(newest.get(name, (-1, b"")), (revision, kek))
    for row, name, kek in zip(rows.tolist(), names, ids, strict=True):
        known = rules.current_keks.get(name)
        wanted = known.encode("utf-8", "surrogateescape") if known is not None else newest[name][1]
        if kek != wanted:
            presumed = "" if known is not None else ", presumed from the newest revision"
            _mark(each, [row], Finding.STALE_KEK, f"the KEK in force is {printable(wanted)}{presumed}")


def _judge_forms(each: Selection, candidates: Sequence[Candidate], current: Bools) -> None:
    """Mark current KMS v2 values whose KMS wraps another kind of data key than in the newest revision.

    k8s.io/apiserver .../encrypt/envelope/kmsv2/envelope.go (TransformFromStorage): another source type is stale.
    """
    own = len(each.labels) - len(candidates)
    found = []
    newest: dict[str, tuple[int, str]] = {}
    for number, candidate in enumerate(candidates, own):
        rows = np.flatnonzero(current & (each.label == number) & (each.opened == Opened.YES))
        if candidate.provider is Provider.KMS_V2 and rows.size:
            found.append((candidate, rows))
            latest = (int(each.batch.main[rows].max()), candidate.form)
            newest[candidate.name] = max(newest.get(candidate.name, latest), latest)
    for candidate, rows in found:
        wanted = newest[candidate.name][1]
        if candidate.form != wanted:
            reason = f"its KMS wraps a {candidate.form}, and a {wanted} in the newest revision: presumed stale"
            _mark(each, rows, Finding.STALE_PROVIDER, reason)


def _groups(codes: Ints) -> Iterator[tuple[int, Ints]]:
    """Each distinct number, and where it stands."""
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    for places in np.split(order, starts[1:]) if order.size else []:
        yield int(codes[places[0]]), places


def _mark(each: Selection, rows: Ints | list[int], finding: int, reason: str = "") -> None:
    each.bits[rows] |= np.uint16(finding)
    for row in np.asarray(rows).tolist() if reason else ():
        each.reasons[row] = "; ".join(part for part in (each.reasons.get(row, ""), reason) if part)
