"""Make the reported rows, column by column. Names leave here, values never."""

import hashlib
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from auditor import policy, selection
from auditor.batch import UNKNOWN
from auditor.columns import Ints
from auditor.encryption.advice import Advice
from auditor.model import Cell, Encoding, Finding, Mark, Opened, Place, Provider, Rows, State
from auditor.selection import Selection
from auditor.storage import objects, values
from auditor.text import moment, printable, printables

T = TypeVar("T")

NOT_KNOWN = "unknown"
_SAME = {0: "", selection.SAME: "yes", selection.DIFFERENT: "no", selection.UNKNOWN: NOT_KNOWN}


def build(selections: Sequence[Selection], advice: Sequence[tuple[str, Advice]]) -> Rows:
    """All rows, sorted by source and offset; what is to be said of configurations comes after them."""
    copies = _copies(selections)
    columns: dict[str, list[Cell]] = {}
    marks: list[tuple[Mark, ...]] = []
    for number in sorted(range(len(selections)), key=lambda number: selections[number].batch.source):
        each = selections[number]
        order = np.argsort(each.batch.value_at, kind="stable")
        also = copies[number]
        for name, column in _columns(each.take(order), [also.get(row, "") for row in order.tolist()]).items():
            columns.setdefault(name, []).extend(column)
        marks += _marks(each.take(order))
    if len(selections) > 1:
        columns, marks = _sorted(columns, marks)
    for source, advised in advice if columns else ():
        if advised.judged:
            said = {"id": _tag(f"{source} {advised.path} {advised.text}"), "judged": "finding", "source": source}
            said["detail"] = f"{advised.path}: {advised.text}"
            for name, column in columns.items():
                column.append(said.get(name, ""))
            marks.append((Mark(Finding.CONFIGURATION, advised.severity),))
    return Rows(columns, marks)


def _sorted(
    columns: dict[str, list[Cell]], marks: list[tuple[Mark, ...]]
) -> tuple[dict[str, list[Cell]], list[tuple[Mark, ...]]]:
    """Several batches of one source, merged by offset."""
    places = list(zip(columns["source"], columns["offset"], strict=True)) if columns else []
    order = sorted(range(len(places)), key=places.__getitem__)
    return {name: [column[row] for row in order] for name, column in columns.items()}, [marks[row] for row in order]


def _marks(each: Selection) -> list[tuple[Mark, ...]]:
    def marks(code: int) -> tuple[Mark, ...]:
        place, same = Place(code >> 4 & 15), (code & 15) == selection.SAME
        return tuple(
            Mark(finding, policy.severity(finding, place, same_as_latest=same)) for finding in Finding(code >> 8)
        )

    return _looked_up(each.mark_codes(), marks)


def _columns(each: Selection, also_in: list[str]) -> dict[str, Sequence[Cell]]:
    batch, stored = each.batch, each.values
    keys = printables(batch.data.slices(batch.key_at, batch.key_len.astype(np.int64)))
    names = [
        key[len(each.resource[of].path) + 1 :].rpartition("/") for key, of in zip(keys, each.of.tolist(), strict=True)
    ]
    found = _objects(each)
    nothing = [""] * len(each)
    kek_at, kek_len = values.kek_ids(batch, stored)
    keks = printables(batch.data.slices(kek_at, np.maximum(kek_len, 0)))
    return {
        "id": _ids(each),
        "place": _looked_up(batch.place, lambda code: Place(code).label),
        "judged": _looked_up(each.bits, lambda bits: "finding" if bits else "pass"),
        "resource": _looked_up(each.of, lambda of: each.resource[of].name),
        "namespace": [namespace for namespace, _, _ in names],
        "name": [name for _, _, name in names],
        "uid": [each.uid for each in found],
        "key": keys,
        "provider": _looked_up(stored.provider, lambda code: Provider(code).label),
        "key_name": _looked_up(each.label, lambda code: each.labels[code][1]),
        "kek_id": keks,
        "encoding": _looked_up(stored.encoding, lambda code: Encoding(code).label),
        "opened": _looked_up(each.opened, lambda code: Opened(code).label if code else ""),
        "same_as_latest": _looked_up(each.same, lambda code: _SAME[code]),
        "type": [each.type for each in found],
        "data_keys": [each.data_keys for each in found],
        "created": [each.created for each in found],
        "create_revision": _numbers(batch.create),
        "mod_revision": _numbers(batch.main),
        "version": _numbers(batch.version),
        "state": _looked_up(batch.state, lambda code: State(code).labels),
        "source": list(repeat(batch.source, len(each))),
        "offset": batch.value_at.tolist(),
        "size": batch.value_len.tolist(),
        "extents": nothing,
        "page": ["" if page == UNKNOWN else page for page in batch.page.tolist()],
        "also_in": also_in,
        "detail": _details(each, names, found),
    }


class _Facts:
    """What a row says of a readable object."""

    __slots__ = ("created", "data_keys", "namespace_and_name", "problem", "type", "uid")

    def __init__(self, found: objects.Object) -> None:
        self.uid = printable(found.uid)
        self.type = printable(found.type)
        self.data_keys = ";".join(printables(list(found.data_keys))) if found.data_keys else ""
        self.created = moment(found.created)
        self.namespace_and_name = (printable(found.namespace), printable(found.name))
        self.problem = found.problem


class _Unopened:
    """The same of what is not readable."""

    uid = type = data_keys = created = NOT_KNOWN
    problem = ""


def _objects(each: Selection) -> list[_Facts | _Unopened]:
    facts: list[_Facts | _Unopened] = [_Unopened()] * len(each)
    for row in [*np.flatnonzero(each.values.provider == Provider.IDENTITY).tolist(), *each.found]:
        found = each.decode(row)
        if found is not None and not (found.problem and each.opened[row]):
            facts[row] = _Facts(found)
    return facts


def _details(each: Selection, names: list[tuple[str, str, str]], found: list[_Facts | _Unopened]) -> list[str]:
    code = each.values.provider.astype(np.int64) * 8 + each.opened * np.int64(2) + each.values.malformed
    details = _looked_up(code, _usual_detail)
    for row in np.flatnonzero(each.values.name_len == values.AMBIGUOUS).tolist():
        guesses = " or ".join(values.candidates(each.batch, each.values, row))
        details[row] = f"key name ambiguous: {guesses}; {details[row]}"
    for row in np.flatnonzero(each.values.provider == Provider.IDENTITY).tolist():
        facts, (namespace, _, name) = found[row], names[row]
        if facts.problem:
            details[row] = facts.problem
        elif isinstance(facts, _Facts) and facts.namespace_and_name != (namespace, name):
            details[row] = "says it is " + "/".join(facts.namespace_and_name)
    for row, reason in each.reasons.items():
        details[row] = "; ".join(part for part in (reason, details[row]) if part)
    return details


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


def _ids(each: Selection) -> list[str]:
    """The same for the same value in the same evidence: made from where it lies, not from what it is."""
    source = _tag(each.tag)
    return [f"{source}{at:010x}" for at in each.batch.value_at.tolist()]


def _tag(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=3).hexdigest()


def _looked_up(codes: NDArray[Any], meaning: Callable[[int], T]) -> list[T]:
    """The meaning of each code, worked out once for each that occurs."""
    plain = codes.tolist()
    table = {code: meaning(code) for code in set(plain)}
    return [table[code] for code in plain]


def _numbers(column: Ints) -> list[Cell]:
    numbers: list[Cell] = column.tolist()
    if int(column.min(initial=0)) == UNKNOWN:
        return [NOT_KNOWN if number == UNKNOWN else number for number in numbers]
    return numbers


def _copies(selections: Sequence[Selection]) -> list[dict[int, str]]:
    """For each row: the best other place that holds the same key with identical stored bytes."""
    holders: dict[tuple[bytes, bytes], list[tuple[int, int, int]]] = {}
    for number, each in enumerate(selections):
        for row in _repeated(each, selections).tolist():
            digest = hashlib.blake2b(each.batch.value(row), digest_size=16).digest()
            place = int(each.batch.place[row])
            holders.setdefault((each.batch.key(row), digest), []).append((place, number, row))
    best: list[dict[int, str]] = [{} for _ in selections]
    for held in holders.values():
        if len(held) > 1:
            held.sort()
            for place, number, row in held:
                other = held[1] if (place, number, row) == held[0] else held[0]
                best[number][row] = Place(other[0]).label
    return best


def _repeated(each: Selection, selections: Sequence[Selection]) -> Ints:
    """Rows whose key has another row: only those can have a copy."""
    if len(selections) > 1:
        return np.arange(len(each))
    number, heads = each.batch.data.group(each.batch.key_at, each.batch.key_len.astype(np.int64))
    return np.flatnonzero(np.bincount(number, minlength=heads.size)[number] > 1)
