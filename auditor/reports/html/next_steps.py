"""The next steps on a scan's page: who takes each, in which namespaces, and the findings that it is about."""

import numpy as np

from auditor.arrays.dictionary import encode
from auditor.model.audit import Audit
from auditor.model.table import Table
from auditor.reports import verdict
from auditor.reports.html import tiles
from auditor.reports.html.shell import Step

MOST_NAMESPACES = 6
"""Namespaces that a step names."""


def of(audit: Audit, table: Table) -> list[Step]:
    """The steps. table: the findings."""
    return [
        Step(step.who, step.what, tiles.filter_of(holders=step.holders), _namespaces(table, holders=step.holders))
        if step.who == verdict.OWNERS
        else Step(step.who, step.what)
        for step in verdict.steps(audit)
    ]


def _namespaces(table: Table, *, holders: bool) -> str:
    """The namespaces of the readable values, those with most objects first."""
    columns = table.columns
    chosen = np.ones(len(table), np.bool_)
    for name, values in tiles.filter_of(holders=holders).items():
        cells = encode(columns[name])
        chosen &= np.array([cell in values for cell in cells.values], np.bool_)[cells.codes]
    spaces, names = encode(columns["namespace"]), encode(columns["name"])
    pairs = np.unique(spaces.codes[chosen].astype(np.int64) * len(names.values) + names.codes[chosen])
    counts = np.bincount(pairs // max(len(names.values), 1), minlength=len(spaces.values))
    order = [code for code in np.argsort(-counts, kind="stable").tolist() if counts[code] and spaces.values[code] != ""]
    listed = [f"{spaces.values[code]} ({counts[code]:,})" for code in order[:MOST_NAMESPACES]]
    more = len(order) - len(listed)
    return ", ".join(listed) + (f" and {more:,} more" if more else "")
