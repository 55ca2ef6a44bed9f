"""etcd-auditor verify."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from auditor.cli import worker
from auditor.cli.options import MaxRatio, MaxUnpacked, WalDir, WorkDir

CODES = (
    "Exit codes: 0 all is as reported; 1 something differs or could not be checked, and the lines say what and where; "
    "2 bad usage: no report, or no evidence of its kind."
)


def verify(
    report: Annotated[
        Path, typer.Argument(help="A JSON report, or a SHA256SUMS file that etcd-auditor wrote.", show_default=False)
    ],
    evidence: Annotated[
        list[str] | None,
        typer.Argument(help="The evidence that it is of, to be hashed and looked at.", show_default=False),
    ] = None,
    wal_dir: WalDir = None,
    work_dir: WorkDir = None,
    max_unpacked: MaxUnpacked = 64 << 30,
    max_ratio: MaxRatio = 250,
) -> None:
    """Hold a report to its own hashes, to the SHA256SUMS beside it, and to the evidence: what differs, and where.

    The hashes are no signatures: to rule out a forgery, sign or time-stamp the SHA256SUMS file.
    """

    from auditor import Options
    from auditor.cli import verify as command

    options = Options(
        wal_dir=str(wal_dir or ""), work_dir=str(work_dir or ""), max_unpacked=max_unpacked, max_ratio=max_ratio
    )
    raise typer.Exit(worker.run(partial(command.run, report, evidence or [], options)))
