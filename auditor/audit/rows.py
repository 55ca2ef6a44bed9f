"""Make the reported rows, column by column. Names leave here, values never."""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import NamedTuple, TypeVar

import numpy as np

from auditor.arrays.dictionary import (
    Dictionary,
    constant,
    encode_if_smaller,
    from_codes,
    from_table_if_smaller,
    with_cells,
)
from auditor.arrays.dtypes import Ints
from auditor.audit import duplicates
from auditor.encryption.lint import Advice
from auditor.evidence.batch import UNKNOWN, Extent
from auditor.hunt.hit import Hit
from auditor.judgement import policy, selection
from auditor.judgement.selection import Selection
from auditor.kubernetes import objects, prefixes
from auditor.model.findings import Cell, Finding, Rows
from auditor.model.vocabulary import Encoding, FindingKind, Opened, Place, Provider, State
from auditor.text import NAME, NAMESPACE, encode, marked, moments, printables, unmarked

T = TypeVar("T")

NOT_KNOWN = "unknown"
EMPTY = Rows({}, ())
_SAME = {0: "", selection.SAME: "yes", selection.DIFFERENT: "no", selection.UNKNOWN: NOT_KNOWN}


def build(selections: Sequence[Selection], advice: Sequence[tuple[str, Advice]], hits: Sequence[Hit] = ()) -> Rows:
    """All rows, sorted by source and offset; what is to be said of configurations last."""
    copies = duplicates.best(selections)
    parts: list[dict[str, Sequence[Cell]]] = []
    found: list[Sequence[tuple[Finding, ...]]] = []
    for number, each in enumerate(selections):
        order = np.argsort(each.batch.offset, kind="stable")
        ordered = each.take(order)
        parts.append(_columns(ordered, copies[number][order]))
        found.append(_marks(ordered))
    judged = [(source, advised) for source, advised in advice if advised.judged and parts]
    if len(parts) == 1 and not hits and not judged:
        return Rows(parts[0], found[0])
    columns: dict[str, list[Cell]] = {
        name: list(chain.from_iterable(part[name] for part in parts)) for name in (parts[0] if parts else ())
    }
    marks = list(chain.from_iterable(found))
    if hits:
        _add(columns, marks, hits, frozenset(each.batch.source for each in selections if not each.batch.located))
    elif len(selections) > len({each.batch.source for each in selections}):
        _sort(columns, marks)  # the values of one source came from several buffers
    for source, advised in judged:
        said = {"id": tag(f"{source} {advised.path} {advised.text}"), "judged": "finding", "source": source}
        said["detail"] = f"{advised.path}: {advised.text}"
        for name, column in columns.items():
            column.append(said.get(name, ""))
        marks.append((Finding(FindingKind.CONFIGURATION, advised.severity),))
    return Rows(columns, marks)


def _add(
    columns: dict[str, list[Cell]], marks: list[tuple[Finding, ...]], hits: Sequence[Hit], unmapped: frozenset[str]
) -> None:
    """The hits of a hunt, in their places among the rows of values."""
    for hit in hits:
        otherwise = ("", "", NOT_KNOWN if hit.key else "")
        namespace, _, name = hit.key[hit.path :].rpartition("/") if hit.path else otherwise
        said: dict[str, Cell] = {
            "id": tag(f"{hit.source} {hit.finding.label} {unmarked(hit.detail)}") + f"{max(hit.offset, 0):010x}",
            "place": hit.place.label if hit.place is not None else "",
            "judged": "finding",
            "resource": hit.resource,
            "namespace": namespace,
            "name": name,
            "key": hit.key,
            "provider": hit.provider.label if hit.place is not None else "",
            "opened": Opened.YES.label if hit.provider > Provider.IDENTITY else "",
            "mod_revision": "" if hit.place is None else hit.mod_revision if hit.mod_revision >= 0 else NOT_KNOWN,
            "source": hit.source,
            "offset": "" if hit.source in unmapped or hit.offset < 0 else hit.offset,
            "size": hit.size if hit.offset >= 0 else "",
            "page": hit.page if hit.page >= 0 else "",
            "detail": hit.detail,
        }
        for column, cells in columns.items():
            cells.append(said.get(column, ""))
        level = policy.severity(hit.finding, current=False, same_as_latest=False)
        marks.append((Finding(hit.finding, level),))
    _sort(columns, marks)


def _sort(columns: dict[str, list[Cell]], marks: list[tuple[Finding, ...]]) -> None:
    places = list(zip(columns["source"], columns["offset"], strict=True))
    order = sorted(range(len(places)), key=lambda row: (str(places[row][0]), int(places[row][1] or 0)))
    for column, cells in columns.items():
        columns[column] = [cells[row] for row in order]
    marks[:] = [marks[row] for row in order]


def _marks(each: Selection) -> Dictionary[tuple[Finding, ...]]:
    def marks(code: int) -> tuple[Finding, ...]:
        current, same = bool(code & 4), code & 3 == selection.SAME
        return tuple(
            Finding(finding, policy.severity(finding, current=current, same_as_latest=same))
            for finding in FindingKind(code >> 8)
        )

    return from_codes(each.mark_codes(), marks)


def _columns(each: Selection, copies: Ints) -> dict[str, Sequence[Cell]]:
    batch, stored = each.batch, each.prefixes
    keys = printables(batch.data.slices(batch.key_at, batch.key_len.astype(np.int64)))
    names = [
        key[len(each.resources[of].path) + 1 :].rpartition("/")
        for key, of in zip(keys, each.resource.tolist(), strict=True)
    ]
    said = _facts(each)
    for row in np.flatnonzero(batch.key_at < 0).tolist():
        namespace, name = said.named[row]
        keys[row], names[row] = NOT_KNOWN, (namespace, "/", name) if name else (NOT_KNOWN, "/", NOT_KNOWN)
    for row in np.flatnonzero(~each.identified & (batch.key_at >= 0)).tolist():
        names[row] = NOT_KNOWN, "/", NOT_KNOWN
    nothing: Dictionary[Cell] = constant("", len(each))
    kek_at, kek_len = prefixes.kek_ids(batch, stored)
    wrapped = np.flatnonzero(kek_len >= 0)
    keks = printables(batch.data.slices(kek_at[wrapped], kek_len[wrapped]))
    return {
        "id": _ids(each),
        "place": from_codes(batch.place, lambda code: Place(code).label),
        "judged": from_codes(each.findings.astype(np.int64) * 2 + each.identified, _judged),
        "resource": from_codes(each.resource, lambda of: each.resources[of].name),
        "namespace": encode_if_smaller([namespace for namespace, _, _ in names]),
        "name": [name for _, _, name in names],
        "uid": said.uid,
        "key": keys,
        "provider": from_codes(stored.provider, lambda code: Provider(code).label),
        "key_name": from_codes(each.key_label, lambda code: each.key_labels[code][1]),
        "kek_id": with_cells(constant("", len(each)), dict(zip(wrapped.tolist(), keks, strict=True))),
        "encoding": from_codes(stored.encoding, lambda code: Encoding(code).label),
        "opened": from_codes(each.opened, lambda code: Opened(code).label if code else ""),
        "same_as_latest": from_codes(each.same_as_latest, lambda code: _SAME[code]),
        "type": said.type,
        "data_keys": said.data_keys,
        "created": said.created,
        "create_revision": _numbers(batch.create_revision),
        "mod_revision": _numbers(batch.mod_revision),
        "version": _numbers(batch.version),
        "state": from_codes(batch.state, lambda code: State(code).labels),
        "source": constant(batch.source, len(each)),
        "offset": batch.offset.tolist() if batch.located else nothing,
        "size": _numbers(batch.size),
        "extents": [_extents(batch.extents.get(row, ())) for row in range(len(each))] if batch.extents else nothing,
        "page": _numbers(batch.page, ""),
        "also_in": from_codes(copies, lambda code: duplicates.LABELS[code]),
        "detail": _details(each, names, said),
    }


def _judged(code: int) -> str:
    if code // 2:
        return "finding"
    return "pass" if code % 2 else "out of scope"


class _Facts(NamedTuple):
    """What readable and opened objects say of themselves, one entry a row; `unknown` where neither.

    named: namespace and name, empty where not readable. problem: why the object does not decode.
    """

    uid: Sequence[str]
    type: Sequence[str]
    data_keys: Sequence[str]
    created: Sequence[str]
    named: Sequence[tuple[str, str]]
    problem: Sequence[str]


def _facts(each: Selection) -> _Facts:
    """Decoded once for each distinct value: a freed copy says what its original says."""
    readable = each.prefixes.provider == Provider.IDENTITY
    readable[list(each.objects)] = True
    rows = np.flatnonzero(readable)
    which = each.by_value[0][rows] if rows.size else rows
    distinct, first, back = np.unique(which, return_index=True, return_inverse=True)
    found = [one or objects.Object() for one in each.decoded(rows[first], content=False)]
    slot = np.full(len(each), distinct.size)  # the last slot is that of what is not readable
    slot[rows] = back
    undecoded = np.array([bool(one.problem) for one in found], np.bool_)
    opened = each.opened[rows[first]] > Opened.NOT_TRIED if rows.size else undecoded
    slot[rows[(undecoded & opened)[back]]] = distinct.size
    flat = iter(printables([key for one in found for key in one.data_keys]))
    keys = [";".join(islice(flat, len(one.data_keys))) for one in found]
    created = [one.created for one in found]
    named = zip(printables([one.namespace for one in found]), printables([one.name for one in found]), strict=True)

    def spread(values: Iterable[T], otherwise: T) -> Sequence[T]:
        return from_table_if_smaller([*values, otherwise], slot)

    return _Facts(
        uid=spread(printables([one.uid for one in found]), NOT_KNOWN),
        type=spread(printables([one.type for one in found]), NOT_KNOWN),
        data_keys=spread(keys, NOT_KNOWN),
        created=spread(moments(created), NOT_KNOWN),
        named=spread(named, ("", "")),
        problem=spread([one.problem for one in found], ""),
    )


def _details(each: Selection, names: list[tuple[str, str, str]], said: _Facts) -> Dictionary[str]:
    code = each.prefixes.provider.astype(np.int64) * 8 + each.opened * np.int64(2) + each.prefixes.malformed
    usual = from_codes(code, _usual_detail)
    details: dict[int, str] = {}
    plain = each.prefixes.provider == Provider.IDENTITY
    odd = (each.batch.key_at < 0) | np.array([entry.by_content for entry in each.resources], np.bool_)[each.resource]
    if plain.any():
        named = zip(said.problem, said.named, names, strict=True)
        odd |= np.array([bool(problem) or own != key[::2] for problem, own, key in named], np.bool_)
    for row in np.flatnonzero(plain & odd).tolist():
        if said.problem[row]:
            details[row] = said.problem[row]
        elif each.batch.key_at[row] < 0:
            details[row] = "its etcd key is lost; names are what the object says"
        elif each.resources[each.resource[row]].by_content:
            details[row] = "its etcd key names another resource; this is what the object says it is"
        else:
            namespace, name = said.named[row]
            details[row] = f"says it is {marked(namespace, NAMESPACE)}/{marked(name, NAME)}"
    for row, reason in each.reasons.items():
        details[row] = "; ".join(part for part in (reason, details.get(row, usual[row])) if part)
    return with_cells(usual, details)


def _usual_detail(code: int) -> str:
    provider, opened, malformed = Provider(code // 8), Opened(code % 8 // 2), code % 2
    said = []
    if malformed:
        said.append(f"what follows the prefix is no {provider.label} payload")
    elif provider in policy.WEAK:
        said.append(policy.WEAK[provider])
    if opened is Opened.NO_KEY:
        said.append("claimed encrypted by prefix, not opened")
    return "; ".join(said)


def _extents(parts: Sequence[Extent]) -> str:
    """offset+length of each part, behind the name of its file where that is another."""
    return ";".join(f"{each.source}{':' if each.source else ''}{each.offset}+{each.length}" for each in parts)


def _ids(each: Selection) -> list[str]:
    """The same for the same value in the same evidence: made from where it lies, not from what it is."""
    source = tag("" if each.authoritative and not each.companion else each.batch.source)
    return [f"{source}{at:010x}" for at in each.batch.offset.tolist()]


def tag(text: str) -> str:
    return hashlib.blake2b(encode(text), digest_size=3).hexdigest()


def _numbers(column: Ints, unknown: str = NOT_KNOWN) -> Sequence[Cell]:
    numbers: list[Cell] = column.tolist()
    if int(column.min(initial=0)) == UNKNOWN:
        numbers = [unknown if number == UNKNOWN else number for number in numbers]
    return encode_if_smaller(numbers)
