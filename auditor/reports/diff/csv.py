"""The comparison as CSV: one row an object, in the order of the etcd keys."""

from typing import IO

from auditor.diff.compare import Comparison
from auditor.diff.rows import NUMBERS
from auditor.reports import csv


def write(comparison: Comparison, out: IO[str]) -> None:
    out.writelines(csv.lines(comparison.columns, NUMBERS))
