"""Tables as pandas DataFrames, for the Python API: made when asked for, since importing pandas takes 0.4 s."""

import pandas as pd

from auditor.reports.columns import NUMBERS, Table


def frame(table: Table) -> pd.DataFrame:
    """Numbers as Int64 with <NA> for what is unknown or does not apply; everything else as text."""
    made = pd.DataFrame(table.columns)
    for name in NUMBERS:
        made[name] = pd.array([cell if isinstance(cell, int) else None for cell in table.columns[name]], "Int64")
    return made
