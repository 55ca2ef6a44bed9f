"""The ledger of an audit in one sentence: how many bytes its readers account for, and that the sweep agrees."""

from collections.abc import Sequence

from auditor.model.evidence import Balance


def ledger_note(balances: Sequence[Balance], *, differs: bool | None) -> str:
    """What is to be said of the media that have a ledger; empty where there are none.

    Args:
        balances: Of the media.
        differs: Whether the sweep met what no reader had; None where nothing was swept.
    """
    if not balances:
        return ""
    names = ("structure", "row", "empty", "checksum", "inner", "unaccounted")
    totals = {name: sum(getattr(own, name) for own in balances) for name in names}
    kind = "media" if totals["inner"] else "file" if len(balances) == 1 else "files"
    files = f"{len(balances):,} {kind}"
    media = f", {totals['inner']:,} of their own inside" if totals["inner"] else ""
    ways = {False: "; the sweep agrees", True: "; the sweep does not agree, see below", None: ""}[differs]
    return (
        f"ledger of {files}: {sum(own.size for own in balances):,} bytes are {totals['structure']:,} structure, "
        f"{totals['row']:,} rows, {totals['empty']:,} empty, {totals['checksum']:,} checksums{media}; "
        f"{totals['unaccounted']:,} unaccounted{ways}"
    )
