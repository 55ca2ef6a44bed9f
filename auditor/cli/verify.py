"""etcd-auditor verify: whether a report, the files beside it and its evidence are what they were."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from auditor import inputs
from auditor.cli import confinement, worker
from auditor.cli.options import (
    BaselineReport,
    Configurations,
    Ignore,
    Kms,
    MaxRatio,
    MaxUnpacked,
    Plugins,
    RedactKey,
    Token,
    WalDir,
    WorkDir,
    Yes,
    library_options,
)
from auditor.cli.progress import bars
from auditor.errors import UsageError
from auditor.options import Options
from auditor.verify.trust import NOBODY, Trust

CODES = (
    "Exit codes: 0 all is as reported; 1 something differs or could not be checked, and the lines say what and where; "
    "2 bad usage: no report, or no evidence of its kind."
)

CAUTION = (
    "Hashes show a change, not an author: whoever makes a report anew can seal it anew. A signature or a time stamp of "
    "the SHA256SUMS rules that out; so does another audit of the evidence (--again)."
)


def verify(
    report: Annotated[
        Path,
        typer.Argument(
            help="A report that etcd-auditor wrote: JSON or HTML of scan, diff, keys or watch; any other (CSV, SARIF, "
            "Parquet, a script) beside the SHA256SUMS that lists it; or that SHA256SUMS itself.",
            show_default=False,
        ),
    ],
    evidence: Annotated[
        list[str] | None,
        typer.Argument(help="The evidence that it is of, to be hashed and looked at.", show_default=False),
    ] = None,
    signers: Annotated[
        Path | None,
        typer.Option(
            help="The allowed signers, as ssh-keygen(1) has them: the list of checksums must be signed by one of them.",
            show_default=False,
        ),
    ] = None,
    tsa_roots: Annotated[
        Path | None,
        typer.Option(
            help="Certificates in PEM: an authority under one of them must have time-stamped the list of checksums.",
            show_default=False,
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Audit the evidence anew with the options that the report records, and compare. Keys are given anew.",
        ),
    ] = False,
    encryption_config: Configurations = None,
    kms_plugin: Plugins = None,
    kms: Kms = None,
    yes: Yes = False,
    k3s_token: Token = None,
    baseline: BaselineReport = None,
    ignore: Ignore = None,
    redact_key: RedactKey = None,
    wal_dir: WalDir = None,
    work_dir: WorkDir = None,
    max_unpacked: MaxUnpacked = 64 << 30,
    max_ratio: MaxRatio = 250,
) -> None:
    """Verify a report against its hashes, the SHA256SUMS beside it, and the evidence: what differs, and where.

    The hashes are no signatures: to rule out a forgery, sign or time-stamp the SHA256SUMS file, or use --again. With
    --signers a signature is required, with --tsa-roots a time stamp; without, one that is there must be good.
    """

    files = {
        "--encryption-config": encryption_config,
        "--kms-plugin": kms_plugin,
        "--kms": kms,
        "--k3s-token": k3s_token,
        "--baseline": baseline,
        "--ignore": ignore,
        "--redact-key": redact_key,
    }
    if not again and (early := next((option for option, value in files.items() if value), None)):
        raise UsageError(f"{early} is for another audit of the evidence: give --again too")
    if again and not evidence:
        raise UsageError("--again audits the evidence: name it behind the report")
    if again and any(inputs.is_pipe(each) for each in evidence or ()):
        raise UsageError("--again reads the evidence twice, and what comes through a pipe comes once: give a file")
    options = library_options(
        encryption_configs=encryption_config,
        kms_plugins=kms_plugin,
        kms=kms,
        kms_confirmed=yes,
        k3s_token=k3s_token,
        baseline=baseline,
        ignore=ignore,
        redact_key=redact_key,
        wal_dir=wal_dir,
        work_dir=work_dir,
        max_unpacked=max_unpacked,
        max_ratio=max_ratio,
    )
    trust = Trust(signers, tsa_roots)
    limits = confinement.limits(evidence or [], [options], programs=True)
    raise typer.Exit(worker.run(partial(run, report, evidence or [], options, trust, again=again), limits))


def run(report: Path, evidence: Sequence[str], options: Options, trust: Trust = NOBODY, *, again: bool = False) -> int:
    """0 where all is as reported, 1 where something differs or could not be checked. Raises AuditorError."""
    from rich.text import Text  # imported in the child process: the parent needs none of it

    from auditor.reports.terminal import Printer
    from auditor.reports.words import plural
    from auditor.verify import verify as verification
    from auditor.verify.checks import Check, Outcome

    colours = {Outcome.DIFFERS: "bold red", Outcome.UNCHECKED: "bold yellow"}
    console = Printer(sys.stdout)
    checks: list[Check] = []
    with bars() as observer:
        for check in verification.verify(report, evidence, options, observer, repeat=again, trust=trust):
            checks.append(check)
            line = Text(f"{check.outcome.value:<11}  {check.what}: {check.text}", colours.get(check.outcome, ""))
            console.print(line, soft_wrap=True)
    failed = sum(not check.holds for check in checks)
    successes = sum(check.outcome is Outcome.AS_REPORTED for check in checks)
    if failed:
        unchecked = sum(check.outcome is Outcome.UNCHECKED for check in checks)
        counts = f"{plural(failed - unchecked, 'check')} failed, " if failed > unchecked else ""
        counts += f"{unchecked:,} could not be made, " if unchecked else ""
        console.print(Text(f"{counts}{successes:,} held (exit 1)", "bold red"))
        return 1
    what = "report and evidence" if evidence else "the report; no evidence was given"
    what += ", which was audited again" if again else ""
    console.print(Text(f"ALL AS REPORTED: {plural(successes, 'check')}, of {what} (exit 0)", "bold green"))
    if not again and not trust.any:
        console.print(Text(CAUTION), soft_wrap=True)
    return 0
