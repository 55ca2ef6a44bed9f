"""The rows of a report, column by column. They hold names of objects, and never a value."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TypeVar

import numpy as np

from auditor.arrays.dictionary import (
    Dictionary,
    constant,
    encode_if_smaller,
    from_codes,
    from_columns,
    from_table,
    with_cells,
)
from auditor.arrays.dtypes import Bools, Ints
from auditor.audit import duplicates, hit_rows, provider_rows, used_by
from auditor.audit.facts import NOT_KNOWN, Facts, facts_of
from auditor.audit.ids import tag
from auditor.audit.used_by import Usage
from auditor.encryption.lint import Advice
from auditor.evidence.batch import UNKNOWN, Extent
from auditor.evidence.objects.keys import NO_NAME
from auditor.hunt.hit import Hit
from auditor.judgement import policy
from auditor.judgement.selection import Selection
from auditor.kubernetes import prefixes
from auditor.model.findings import Cell, Finding, Rows
from auditor.model.vocabulary import Encoding, FindingKind, Opened, Place, Provider, SameAsLatest, State
from auditor.text import NAME, NAMESPACE, marked, printables

T = TypeVar("T")

EMPTY = Rows({}, ())
DECRYPTED = ("", *(code.label for code in list(Opened)[1:]), Opened.NOT_TRIED.label)
"""Cells of `decrypted` by code of Opened, the last for encrypted values that were not tried."""
JUDGED = ("out of scope", "pass", "finding")


def build(
    selections: Sequence[Selection],
    advice: Sequence[tuple[str, Advice]],
    hits: Sequence[Hit] = (),
    grouped: Sequence[Selection] = (),
    usage: Usage | None = None,
    own: str = "",
) -> Rows:
    """All rows, sorted by source, offset and finding.

    Args:
        selections: the judged values.
        advice: on configurations, each with its file.
        hits: of a hunt.
        grouped: the values that rows of providers count, where they are not these.
        usage: of the Secrets; None for none.
        own: name of the evidence's own file.
    """
    copies = duplicates.best(selections)
    parts: list[dict[str, Sequence[Cell]]] = []
    tables: list[Sequence[tuple[Finding, ...]]] = []
    for number, values in enumerate(selections):
        order = np.argsort(values.batch.offset, kind="stable")
        ordered = values.take(order)
        parts.append(_columns(ordered, copies[number][order], usage))
        tables.append(_findings(ordered))
    valueless = [*provider_rows.rows(grouped or selections), *_configurations(advice)] if parts else []
    if len(parts) == 1 and not hits and not valueless:
        return Rows(parts[0], tables[0])
    columns: dict[str, list[Cell]] = {
        name: list(chain.from_iterable(part[name] for part in parts)) for name in (parts[0] if parts else ())
    }
    findings = list(chain.from_iterable(tables))
    unlocated = frozenset(values.batch.source for values in selections if not values.batch.located)
    for cells, finding in chain(hit_rows.rows(hits, unlocated, own), valueless):
        for name, column in columns.items():
            column.append(cells.get(name, ""))
        findings.append((finding,))
    return Rows(columns, findings).in_order()


def _configurations(advice: Sequence[tuple[str, Advice]]) -> Iterator[tuple[dict[str, Cell], Finding]]:
    """The cells of the findings of configurations, those that apply, and the findings."""
    for source, advised in advice:
        if advised.judged:
            cells: dict[str, Cell] = {
                "id": tag(f"{source} {advised.path} {advised.text}"),
                "judged": "finding",
                "source": source,
                "detail": f"{advised.path}: {advised.text}",
            }
            yield cells, Finding(FindingKind.CONFIGURATION, advised.severity)


def _findings(values: Selection) -> Dictionary[tuple[Finding, ...]]:
    grades = values.grades()
    findings = [
        tuple(Finding(kind, grade.severity(kind), grouped=kind is provider_rows.KIND) for kind in grade.findings)
        for grade in grades.values
    ]
    return from_table(findings, grades.codes)


def _untried(values: Selection) -> Bools:
    """Which values claim to be encrypted and were not tried: their KMS was not asked, or a part of them is lost."""
    untried: Bools = (values.opened == Opened.NOT_TRIED) & (values.prefixes.provider > Provider.IDENTITY)
    return untried


def _columns(values: Selection, copies: Ints, usage: Usage | None) -> dict[str, Sequence[Cell]]:
    """The columns of one selection.

    Args:
        values: the selection.
        copies: code of the best other place of each value (duplicates.best).
        usage: of the Secrets.
    """
    batch, claims, facts = values.batch, values.prefixes, facts_of(values)
    keys, names = _names(values, facts)
    nothing: Dictionary[Cell] = constant("", len(values))
    kek_at, kek_len = prefixes.kek_ids(batch, claims)
    with_kek = np.flatnonzero(kek_len >= 0)
    keks = printables(batch.data.slices(kek_at[with_kek], kek_len[with_kek]))
    return {
        "id": ids(values),
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
        "decrypted": from_codes(np.where(_untried(values), len(Opened), values.opened), DECRYPTED.__getitem__),
        "same_as_latest": from_codes(values.same_as_latest, lambda code: SameAsLatest(code).label),
        "type": facts.type,
        "data_keys": facts.data_keys,
        "valid_until": facts.valid_until,
        "used_by": used_by.column(usage, values, facts.selectors),
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


def _names(values: Selection, facts: Facts) -> tuple[list[str], list[tuple[str, str, str]]]:
    """Etcd key of each value, and namespace, slash and name in it, or of the object where the key is lost."""
    batch = values.batch
    keys = printables(batch.data.slices(batch.key_at, batch.key_size))
    names = [
        key[len(values.resources[code].path) + 1 :].rpartition("/")
        for key, code in zip(keys, values.resource.tolist(), strict=True)
    ]
    for row in np.flatnonzero(batch.key_at < 0).tolist():
        namespace, name = facts.named[row]
        keys[row], names[row] = NOT_KNOWN, (namespace, "/", name) if name else (NOT_KNOWN, "/", NOT_KNOWN)
    for row in np.flatnonzero(~values.identified & (batch.key_at >= 0)).tolist():
        names[row] = NOT_KNOWN, "/", NOT_KNOWN
    return keys, names


def _details(values: Selection, names: list[tuple[str, str, str]], facts: Facts) -> Dictionary[str]:
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
        elif NO_NAME in names[row]:
            details[row] = "what the object says is its name is none of Kubernetes'"
        else:
            namespace, name = facts.named[row]
            details[row] = f"says it is {marked(namespace, NAMESPACE)}/{marked(name, NAME)}"
    for row, remark in values.batch.remarks.items():
        details[row] = "; ".join(part for part in (details.get(row, usual[row]), remark) if part)
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


def ids(values: Selection) -> list[str]:
    """Ids by source and offset: the same value of the same evidence has the same id in every run."""
    source = tag("" if values.own else values.batch.source)
    return [f"{source}{at:010x}" for at in values.batch.offset.tolist()]


def _numbers(column: Ints, unknown: str = NOT_KNOWN) -> Sequence[Cell]:
    numbers: list[Cell] = column.tolist()
    if int(column.min(initial=0)) == UNKNOWN:
        numbers = [unknown if number == UNKNOWN else number for number in numbers]
    return encode_if_smaller(numbers)
