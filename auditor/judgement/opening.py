"""Open the selected values with what was supplied, and hold each to the object that its etcd key names."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import chunks, value_counts
from auditor.judgement.criteria import Criteria
from auditor.judgement.selection import Selection
from auditor.kubernetes import objects, prefixes
from auditor.model.vocabulary import FindingKind, Opened, Place, Provider, State
from auditor.text import encode, object_name, printable, restore, shown

if TYPE_CHECKING:
    from auditor.encryption.keyring import Candidate, Keyring
    from auditor.kubernetes.resources import Resource

AT_ONCE = 1 << 9
"""Values opened together: so few that they stay in the processor's cache from one step to the next."""
KINDS = {"secrets": b"Secret", "configmaps": b"ConfigMap", "pods": b"Pod", "namespaces": b"Namespace"}
"""Kinds, of version v1, that a resource's objects must be of; of others namespace and name are held to the key."""


def open_every(
    selections: Sequence[Selection],
    rules: Criteria,
    keyring: Keyring,
    *,
    keep: bool = False,
    contents: Container[bytes] | None = None,
) -> list[Selection]:
    """The selections with every encrypted value tried and judged. What has lost its key or a part is not tried.

    keep: whether the plaintexts are kept, for a hunt. contents: etcd keys of the objects whose contents will be
    compared; None for all.
    """
    opened = [open_all(each, rules, keyring, keep=keep, contents=contents) for each in selections]
    if rules.policy.configured or rules.current_keks:
        _judge_keks(opened, rules)
        _judge_forms(opened)
    return opened


def open_all(
    each: Selection, rules: Criteria, keyring: Keyring, *, keep: bool = False, contents: Container[bytes] | None = None
) -> Selection:
    """open_every() for one, without what needs all to be judged: which KEK, and which kind of data key, is newest."""
    batch, stored = each.batch, each.prefixes
    bits, opened, label, kinds = each.findings.copy(), each.opened.copy(), each.key_label.copy(), stored.encoding.copy()
    whole = each.identified & (batch.key_at >= 0) & ~batch.has(State.HEAD_LOST | State.TAIL_LOST)
    encrypted = stored.provider > Provider.IDENTITY
    opened[encrypted & ~whole] = Opened.NOT_TRIED
    prefix = np.where(stored.malformed, 0, stored.name_at + stored.name_len + 1 - batch.value_at)
    numbers: dict[Candidate, int] = {}
    longer: dict[int, int] = {}
    found: dict[int, objects.Object] = {}
    reasons: dict[int, str] = {}
    plaintexts: dict[int, bytes] = {}
    every = np.flatnonzero(encrypted & whole)
    for resource, rows, keys, texts in portions(each, every):
        head = len(restore(resource.path)) + 1
        attempts = keyring.open(resource.name, keys, texts)
        opened[rows] = [attempt.opened for attempt in attempts]
        for row, key, (state, by, why, plaintext, encoding) in zip(rows.tolist(), keys, attempts, strict=True):
            finding = 0
            if by is not None:
                label[row] = numbers.setdefault(by, len(each.key_labels) + len(numbers))
            if state is Opened.YES:
                kinds[row] = encoding
                if keep:
                    plaintexts[row] = plaintext
                wanted = contents is None or key in contents
                found[row] = said = objects.decode(plaintext, encoding, content=wanted)
                finding, why = _hold(said, resource.name, key[head:])
            elif state is Opened.FAILED and by is not None:
                finding = FindingKind.UNDECRYPTABLE
                longer[row] = int(prefix[row]) - len(by.prefix)
            if finding or why:
                bits[row] |= np.uint16(finding)
                reasons[row] = why
    for row in _under_other_names(each, longer, every.size):
        # what was tried is a key whose name is the beginning of this one's
        opened[row], label[row] = Opened.NO_KEY, each.key_label[row]
        bits[row] &= ~np.uint16(FindingKind.UNDECRYPTABLE)
        del reasons[row]
    labels = [(each.provider, shown(each.name)) for each in numbers]
    made = replace(
        each,
        prefixes=replace(stored, encoding=kinds),
        findings=bits,
        opened=opened,
        key_label=label,
        key_labels=(*each.key_labels, *labels),
        objects=found,
        reasons=reasons,
        plaintexts=plaintexts,
        candidates=tuple(numbers),
        secrets=tuple(candidate.secret for candidate in numbers),
    )
    candidates = list(numbers)
    _judge_known(made, rules, candidates)
    _judge_keys(made, rules, keyring, candidates, np.flatnonzero(each.served & encrypted & whole))
    _judge_unreadable(made, rules, each.served & each.identified & ~encrypted)
    return made


def portions(each: Selection, every: Ints) -> Iterator[tuple[Resource, Ints, list[bytes], list[bytes]]]:
    """These rows by resource, so many as are held together: their numbers, etcd keys and stored values."""
    batch = each.batch
    for which, places in _groups(each.resource[every].astype(np.int64)):
        for part in chunks(places.size, AT_ONCE):
            rows = every[places[part]]
            keys = batch.data.slices(batch.key_at[rows], batch.key_len[rows].astype(np.int64))
            texts = batch.data.slices(batch.value_at[rows], batch.value_len[rows].astype(np.int64))
            yield each.resources[which], rows, keys, texts


def _hold(said: objects.Object, resource: str, rest: bytes) -> tuple[int, str]:
    """Whether an opened value is the object that the rest of its etcd key names."""
    if said.problem:
        return FindingKind.UNDECRYPTABLE, f"opens to nonsense: {said.problem}"
    namespace, slash, name = rest.partition(b"/")
    expected = (namespace, name) if slash else (b"", namespace)
    wanted = KINDS.get(resource)
    if (said.namespace, said.name) == expected and (wanted is None or (said.api_version, said.kind) == (b"v1", wanted)):
        return 0, ""
    type_ = b" ".join(part for part in (said.api_version, said.kind) if part)
    where = object_name(said.namespace, said.name)
    return FindingKind.MISPLACED, f"opens as a different object: {printable(type_)} {where}"


def _under_other_names(each: Selection, longer: dict[int, int], count: int) -> Iterator[int]:
    """Of the values that did not open: those whose key name is longer than that of the key tried, by payload shapes.

    longer: by row, how many bytes. A nonce may begin as the rest of a name would: so many must share it that chance
    does not explain it, of the `count` values there are.
    """
    rows = np.array([row for row, more in longer.items() if more > 0], np.int64)
    for _, places in _groups(each.key_label[rows]):
        mine = rows[places].tolist()
        if len(mine) > 1 + 8 * count / 256 ** longer[mine[0]]:
            yield from mine


def _judge_known(each: Selection, rules: Criteria, candidates: Sequence[Candidate]) -> None:
    own = len(each.key_labels) - len(candidates)
    for number, candidate in enumerate(candidates, own):
        if reason := rules.policy.known(candidate):
            opened = (each.key_label == number) & (each.opened == Opened.YES)
            _mark(each, np.flatnonzero(opened), FindingKind.KNOWN_KEY, reason)


def _judge_keys(
    each: Selection, rules: Criteria, keyring: Keyring, candidates: Sequence[Candidate], rows: Ints
) -> None:
    """Mark current values that the API server cannot read, or that it would write otherwise today."""
    own = len(each.key_labels) - len(candidates)
    shape = (len(each.resources), len(each.key_labels), len(Opened))
    codes = np.ravel_multi_index((each.resource[rows], each.key_label[rows], each.opened[rows]), shape)
    for code, mine in _groups(codes):
        which, label, state = (int(part) for part in np.unravel_index(code, shape))
        resource = each.resources[which].name
        by = candidates[label - own] if label >= own else None
        if rules.policy.configured and state != Opened.FAILED and by not in keyring.rule(resource):
            _mark(each, rows[mine], FindingKind.ORPHANED)
            continue
        secret = by.secret if by is not None and state == Opened.YES else b""
        _mark(each, rows[mine], rules.policy.stale(resource, each.key_labels[label], secret))
        if by is not None and state == Opened.YES and by.aged:
            _mark(each, rows[mine], FindingKind.STALE_PROVIDER, "its body is AES-CBC: written as AES-GCM since 1.25")


def _judge_unreadable(each: Selection, rules: Criteria, current: Bools) -> None:
    """Mark values without a known provider that no provider of a resource's rule reads: plain ones need identity."""
    for which, _ in value_counts(each.resource[current].astype(np.int64)):
        mine = current & (each.resource == which)
        if rules.policy.reads_plaintext(each.resources[which].name):
            claims = each.batch.data.starts_with(
                each.batch.value_at, each.batch.value_len.astype(np.int64), prefixes.ENCRYPTED
            )
            mine &= claims if rules.policy.configured else False
        _mark(each, np.flatnonzero(mine), FindingKind.ORPHANED)


def _current(each: Selection) -> Bools:
    current: Bools = each.served & each.batch.at(Place.LATEST)
    return current


def _judge_keks(selections: Sequence[Selection], rules: Criteria) -> None:
    """Mark current KMS v2 values whose KEK is not the one in force; where none is known, the newest is presumed."""
    found = []
    newest: dict[str, tuple[int, bytes]] = {}
    for each in selections:
        at, length = prefixes.kek_ids(each.batch, each.prefixes)
        rows = np.flatnonzero((length >= 0) & _current(each))
        ids = each.batch.data.slices(at[rows], length[rows])
        names = [each.key_labels[number][1] for number in each.key_label[rows].tolist()]
        found.append((each, rows.tolist(), names, ids))
        for revision, name, kek in zip(each.batch.mod_revision[rows].tolist(), names, ids, strict=True):
            newest[name] = max(newest.get(name, (-1, b"")), (revision, kek))
    for each, current, names, ids in found:
        for row, name, kek in zip(current, names, ids, strict=True):
            known = rules.current_keks.get(name)
            wanted = encode(known) if known is not None else newest[name][1]
            if kek != wanted:
                presumed = "" if known is not None else ", presumed from the newest revision"
                _mark(each, [row], FindingKind.STALE_KEK, f"the KEK in force is {printable(wanted)}{presumed}")


def _judge_forms(selections: Sequence[Selection]) -> None:
    """Mark current KMS v2 values whose KMS wraps another kind of data key than in the newest revision.

    k8s.io/apiserver .../encrypt/envelope/kmsv2/envelope.go (TransformFromStorage): another source type is stale.
    """
    found = []
    newest: dict[str, tuple[int, str]] = {}
    for each in selections:
        own = len(each.key_labels) - len(each.candidates)
        for number, candidate in enumerate(each.candidates, own):
            rows = np.flatnonzero(_current(each) & (each.key_label == number) & (each.opened == Opened.YES))
            if candidate.provider is Provider.KMS_V2 and rows.size:
                found.append((each, candidate, rows))
                latest = (int(each.batch.mod_revision[rows].max()), candidate.form)
                newest[candidate.name] = max(newest.get(candidate.name, latest), latest)
    for each, candidate, rows in found:
        wanted = newest[candidate.name][1]
        if candidate.form != wanted:
            reason = f"its KMS wraps a {candidate.form}, and a {wanted} in the newest revision: presumed stale"
            _mark(each, rows, FindingKind.STALE_PROVIDER, reason)


def _groups(codes: Ints) -> Iterator[tuple[int, Ints]]:
    """Each distinct number, and where it stands."""
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    for places in np.split(order, starts[1:]) if order.size else []:
        yield int(codes[places[0]]), places


def _mark(each: Selection, rows: Ints | list[int], finding: int, reason: str = "") -> None:
    each.findings[rows] |= np.uint16(finding)
    for row in np.asarray(rows).tolist() if reason else ():
        each.reasons[row] = "; ".join(part for part in (each.reasons.get(row, ""), reason) if part)
