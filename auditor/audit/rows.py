"""The rows of a report, column by column. They hold names of objects, and never a value."""

from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import NamedTuple, TypeVar

import numpy as np

from auditor.arrays.dictionary import (
    Dictionary,
    constant,
    encode_if_smaller,
    from_codes,
    from_columns,
    from_table,
    from_table_if_smaller,
    with_cells,
)
from auditor.arrays.dtypes import Ints
from auditor.audit import duplicates
from auditor.audit.ids import tag
from auditor.encryption.lint import Advice
from auditor.evidence.batch import UNKNOWN, Extent
from auditor.hunt.hit import Hit
from auditor.judgement import policy, selection
from auditor.judgement.selection import Selection
from auditor.kubernetes import objects, prefixes
from auditor.model.findings import Cell, Finding, Rows
from auditor.model.vocabulary import Encoding, FindingKind, Opened, Place, Provider, State
from auditor.text import KEY, NAME, NAMESPACE, marked, moments, printables, unmarked

T = TypeVar("T")

NOT_KNOWN = "unknown"
EMPTY = Rows({}, ())
JUDGED = ("out of scope", "pass", "finding")
_SAME = {0: "", selection.SAME: "yes", selection.DIFFERENT: "no", selection.UNKNOWN: NOT_KNOWN}


def build(selections: Sequence[Selection], advice: Sequence[tuple[str, Advice]], hits: Sequence[Hit] = ()) -> Rows:
    """All rows, sorted by source and offset; findings of configurations last.

    Args:
        selections: the judged values.
        advice: on configurations, each with its file.
        hits: of a hunt.
    """
    copies = duplicates.best(selections)
    parts: list[dict[str, Sequence[Cell]]] = []
    tables: list[Sequence[tuple[Finding, ...]]] = []
    for number, values in enumerate(selections):
        order = np.argsort(values.batch.offset, kind="stable")
        ordered = values.take(order)
        parts.append(_columns(ordered, copies[number][order]))
        tables.append(_findings(ordered))
    configuration_findings = [(source, advised) for source, advised in advice if advised.judged and parts]
    if len(parts) == 1 and not hits and not configuration_findings:
        return Rows(parts[0], tables[0])
    columns: dict[str, list[Cell]] = {
        name: list(chain.from_iterable(part[name] for part in parts)) for name in (parts[0] if parts else ())
    }
    findings = list(chain.from_iterable(tables))
    if hits:
        unmapped = frozenset(values.batch.source for values in selections if not values.batch.located)
        _add(columns, findings, hits, unmapped)
    elif len(selections) > len({values.batch.source for values in selections}):
        _sort(columns, findings)  # the values of one source lie in several buffers
    for source, advised in configuration_findings:
        cells = {"id": tag(f"{source} {advised.path} {advised.text}"), "judged": "finding", "source": source}
        cells["detail"] = f"{advised.path}: {advised.text}"
        for name, column in columns.items():
            column.append(cells.get(name, ""))
        findings.append((Finding(FindingKind.CONFIGURATION, advised.severity),))
    return Rows(columns, findings)


def _add(
    columns: dict[str, list[Cell]], findings: list[tuple[Finding, ...]], hits: Sequence[Hit], unmapped: frozenset[str]
) -> None:
    """Add the hits of a hunt, in the order of the rows. unmapped: sources without offsets."""
    for hit in hits:
        default = ("", "", NOT_KNOWN if hit.key else "")
        namespace, _, name = hit.key[hit.path_size :].rpartition("/") if hit.path_size else default
        detail = _hit_detail(hit)
        row: dict[str, Cell] = {
            "id": tag(f"{hit.source} {hit.finding.label} {unmarked(detail)}") + f"{max(hit.offset, 0):010x}",
            "place": hit.place.label if hit.place is not None else "",
            "judged": "finding",
            "resource": hit.resource,
            "namespace": namespace,
            "name": name,
            "key": hit.key,
            "provider": hit.provider.label if hit.place is not None else "",
            "decrypted": Opened.YES.label if hit.provider > Provider.IDENTITY else "",
            "mod_revision": "" if hit.place is None else hit.mod_revision if hit.mod_revision >= 0 else NOT_KNOWN,
            "source": hit.source,
            "offset": "" if hit.source in unmapped or hit.offset < 0 else hit.offset,
            "size": hit.size if hit.offset >= 0 else "",
            "page": hit.page if hit.page >= 0 else "",
            "detail": detail,
        }
        for column, cells in columns.items():
            cells.append(row.get(column, ""))
        level = policy.severity(hit.finding, current=False, same_as_latest=False)
        findings.append((Finding(hit.finding, level),))
    _sort(columns, findings)


def _hit_detail(hit: Hit) -> str:
    """Original, form and field of a hit, and the values that a key opens."""
    where = f"{' inside the decrypted value' if hit.opened else ''}{f' in={hit.path}' if hit.path else ''}"
    where = "; outside every stored value" if hit.unheld else where
    if hit.opens is None:
        more = f" and {hit.copy.more_owners:,} more" if hit.copy.more_owners else ""
        owner = marked(hit.copy.owner, KEY)
        return f"of={owner} field={hit.copy.field}{more} value=#{hit.copy.number} as={hit.form}{where}"
    if not hit.opens.keys:
        return f"key={hit.copy.owner} as={hit.form}{where}; it decrypts {hit.opens.values:,} values of this evidence"
    path = f" in={hit.path}" if hit.path else ""
    keys = f"an EncryptionConfiguration with {hit.opens.keys} keys{path}"
    return f"{keys}; the keys found decrypt {hit.opens.values:,} values of this evidence"


def _sort(columns: dict[str, list[Cell]], findings: list[tuple[Finding, ...]]) -> None:
    places = list(zip(columns["source"], columns["offset"], strict=True))
    order = sorted(range(len(places)), key=lambda row: (str(places[row][0]), int(places[row][1] or 0)))
    for column, cells in columns.items():
        columns[column] = [cells[row] for row in order]
    findings[:] = [findings[row] for row in order]


def _findings(values: Selection) -> Dictionary[tuple[Finding, ...]]:
    grades = values.grades()
    findings = [tuple(Finding(kind, grade.severity(kind)) for kind in grade.findings) for grade in grades.values]
    return from_table(findings, grades.codes)


def _columns(values: Selection, copies: Ints) -> dict[str, Sequence[Cell]]:
    """The columns of one selection. copies: code of the best other place of each value (duplicates.best)."""
    batch, claims = values.batch, values.prefixes
    keys = printables(batch.data.slices(batch.key_at, batch.key_size))
    names = [
        key[len(values.resources[code].path) + 1 :].rpartition("/")
        for key, code in zip(keys, values.resource.tolist(), strict=True)
    ]
    facts = _facts(values)
    for row in np.flatnonzero(batch.key_at < 0).tolist():
        namespace, name = facts.named[row]
        keys[row], names[row] = NOT_KNOWN, (namespace, "/", name) if name else (NOT_KNOWN, "/", NOT_KNOWN)
    for row in np.flatnonzero(~values.identified & (batch.key_at >= 0)).tolist():
        names[row] = NOT_KNOWN, "/", NOT_KNOWN
    nothing: Dictionary[Cell] = constant("", len(values))
    kek_at, kek_len = prefixes.kek_ids(batch, claims)
    with_kek = np.flatnonzero(kek_len >= 0)
    keks = printables(batch.data.slices(kek_at[with_kek], kek_len[with_kek]))
    return {
        "id": _ids(values),
        "place": from_codes(batch.place, lambda code: Place(code).label),
        "judged": from_codes(np.where(values.findings > 0, 2, values.identified), JUDGED.__getitem__),
        "resource": from_codes(values.resource, lambda code: values.resources[code].name),
        "namespace": encode_if_smaller([namespace for namespace, _, _ in names]),
        "name": [name for _, _, name in names],
        "uid": facts.uid,
        "key": keys,
        "provider": from_codes(claims.provider, lambda code: Provider(code).label),
        "key_name": from_codes(values.key_label, lambda code: values.key_labels[code].name),
        "kek_id": with_cells(constant("", len(values)), dict(zip(with_kek.tolist(), keks, strict=True))),
        "encoding": from_codes(claims.encoding, lambda code: Encoding(code).label),
        "decrypted": from_codes(values.opened, lambda code: Opened(code).label if code else ""),
        "same_as_latest": from_codes(values.same_as_latest, lambda code: _SAME[code]),
        "type": facts.type,
        "data_keys": facts.data_keys,
        "created": facts.created,
        "create_revision": _numbers(batch.create_revision),
        "mod_revision": _numbers(batch.mod_revision),
        "version": _numbers(batch.version),
        "state": from_codes(batch.state, lambda code: State(code).labels),
        "source": constant(batch.source, len(values)),
        "offset": batch.offset.tolist() if batch.located else nothing,
        "size": _numbers(batch.size),
        "extents": [_extents(batch.extents.get(row, ())) for row in range(len(values))] if batch.extents else nothing,
        "page": _numbers(batch.page, ""),
        "also_in": from_codes(copies, lambda code: duplicates.LABELS[code]),
        "detail": _details(values, names, facts),
    }


class _Facts(NamedTuple):
    """Metadata of readable and opened objects, one entry a row; `unknown` for other values."""

    uid: Sequence[str]
    """Uid of the object."""
    type: Sequence[str]
    """Type of a Secret."""
    data_keys: Sequence[str]
    """Names of the data, joined with ;."""
    created: Sequence[str]
    """Creation time, UTC."""
    named: Sequence[tuple[str, str]]
    """Namespace and name; empty for values that are not readable."""
    problem: Sequence[str]
    """Why the object does not decode; empty where it does."""


def _facts(values: Selection) -> _Facts:
    """The metadata of all values; each distinct value is decoded once."""
    readable = values.prefixes.provider == Provider.IDENTITY
    readable[list(values.objects)] = True
    rows = np.flatnonzero(readable)
    # the readable rows by distinct value: first row of each value, and `inverse`, the value of each row
    which = values.by_value[0][rows] if rows.size else rows
    distinct, first, inverse = np.unique(which, return_index=True, return_inverse=True)
    decoded = [object_ or objects.Object() for object_ in values.decoded(rows[first], content=False)]
    slot = np.full(len(values), distinct.size)  # the last slot is for values that are not readable
    slot[rows] = inverse
    undecoded = np.array([bool(object_.problem) for object_ in decoded], np.bool_)
    opened = values.opened[rows[first]] > Opened.NOT_TRIED if rows.size else undecoded
    slot[rows[(undecoded & opened)[inverse]]] = distinct.size
    flat = iter(printables([key for object_ in decoded for key in object_.data_keys]))
    keys = [";".join(islice(flat, len(object_.data_keys))) for object_ in decoded]
    created = [object_.created for object_ in decoded]
    namespaces = printables([object_.namespace for object_ in decoded])
    pairs = zip(namespaces, printables([object_.name for object_ in decoded]), strict=True)

    def column(cells: Iterable[T], default: T) -> Sequence[T]:
        return from_table_if_smaller([*cells, default], slot)

    return _Facts(
        uid=column(printables([object_.uid for object_ in decoded]), NOT_KNOWN),
        type=column(printables([object_.type for object_ in decoded]), NOT_KNOWN),
        data_keys=column(keys, NOT_KNOWN),
        created=column(moments(created), NOT_KNOWN),
        named=column(pairs, ("", "")),
        problem=column([object_.problem for object_ in decoded], ""),
    )


def _details(values: Selection, names: list[tuple[str, str, str]], facts: _Facts) -> Dictionary[str]:
    """The column `detail`. names: namespace, slash and name of each etcd key."""
    columns = (values.prefixes.provider, values.opened, values.prefixes.malformed)
    usual = from_columns(columns, (len(Provider), len(Opened), 2), _usual_detail)
    details: dict[int, str] = {}
    plain = values.prefixes.provider == Provider.IDENTITY
    remarkable = (values.batch.key_at < 0) | np.array([entry.by_content for entry in values.resources], np.bool_)[
        values.resource
    ]
    if plain.any():
        pairs = zip(facts.problem, facts.named, names, strict=True)
        remarkable |= np.array([bool(problem) or own != key[::2] for problem, own, key in pairs], np.bool_)
    for row in np.flatnonzero(plain & remarkable).tolist():
        if facts.problem[row]:
            details[row] = facts.problem[row]
        elif values.batch.key_at[row] < 0:
            details[row] = "its etcd key is lost; names are what the object says"
        elif values.resources[values.resource[row]].by_content:
            details[row] = "its etcd key names another resource; this is what the object says it is"
        else:
            namespace, name = facts.named[row]
            details[row] = f"says it is {marked(namespace, NAMESPACE)}/{marked(name, NAME)}"
    for row, reason in values.reasons.items():
        details[row] = "; ".join(part for part in (reason, details.get(row, usual[row])) if part)
    return with_cells(usual, details)


def _usual_detail(provider: int, opened: int, malformed: int) -> str:
    """The detail of a value by its provider and the outcome of opening it."""
    parts = []
    if malformed:
        parts.append(f"what follows the prefix is no {Provider(provider).label} payload")
    elif provider in policy.WEAK:
        parts.append(policy.WEAK[Provider(provider)])
    if opened == Opened.NO_KEY:
        parts.append("claimed encrypted by prefix, not decrypted")
    return "; ".join(parts)


def _extents(parts: Sequence[Extent]) -> str:
    """offset+length of each part, after the name of its file where that is not the source."""
    return ";".join(f"{part.source}{':' if part.source else ''}{part.offset}+{part.length}" for part in parts)


def _ids(values: Selection) -> list[str]:
    """Ids by source and offset: the same value of the same evidence has the same id in every run."""
    source = tag("" if values.authoritative and not values.companion else values.batch.source)
    return [f"{source}{at:010x}" for at in values.batch.offset.tolist()]


def _numbers(column: Ints, unknown: str = NOT_KNOWN) -> Sequence[Cell]:
    numbers: list[Cell] = column.tolist()
    if int(column.min(initial=0)) == UNKNOWN:
        numbers = [unknown if number == UNKNOWN else number for number in numbers]
    return encode_if_smaller(numbers)
