"""etcd-auditor diff: compare two exhibits, write the reports, print the summary."""

import sys
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli import checksums, commands, confinement, live_options, output, provenance, worker
from auditor.cli.live_options import NOT_LIVE, LiveOptions
from auditor.cli.options import (
    AcceptPartial,
    Configurations,
    FailOn,
    Keks,
    Kms,
    KmsBudget,
    Level,
    Plugins,
    Prefixes,
    Quick,
    Range,
    Raw,
    WorkDir,
    Yes,
    kms_options,
    library_options,
)
from auditor.cli.progress import bars
from auditor.cli.single_item import single
from auditor.encryption.kms import address
from auditor.errors import UsageError
from auditor.model.vocabulary import Severity
from auditor.options import Options
from auditor.sandbox import Limits

if TYPE_CHECKING:
    from auditor.evidence.live.access import Access

CODES = (
    "Exit codes: 0 AFTER is as expected and everything on both sides was read; 1 something in AFTER is not: a finding "
    "at or above --fail-on, leftovers included, BEFORE is not as --expect-before says, or, with --same-content, an "
    "object appeared, vanished or changed; 2 bad usage, other clusters or the wrong order, nothing readable, or a "
    "fault of the auditor's own; 3 no such thing, and something was not read or not concluded."
)


@dataclass(frozen=True, slots=True)
class DiffRequest:
    """One comparison, as on the command line."""

    before: str
    after: str
    live: LiveOptions
    before_options: Options
    after_options: Options
    expect_before: str
    same_content: bool
    different_clusters: bool
    any_order: bool
    fail_on: Severity
    csv: Path | None
    html: Path | None
    json: Path | None
    force: bool
    origins: tuple[tuple[str, str], ...] = field(default_factory=lambda: tuple(commands.origins().items()))
    """Options that the command line does not hold, and where each comes from."""

    @property
    def targets(self) -> list[Path | None]:
        return [self.csv, self.html, self.json]

    @property
    def limits(self) -> Limits:
        """What its process needs. Raises UsageError for a --kms that is none."""
        both = [self.before_options, self.after_options]
        return confinement.limits([self.before, self.after], both, self.targets)


@live_options.live_options
def diff(
    before: Annotated[str, typer.Argument(help="Evidence of before the migration.", show_default=False)],
    after: Annotated[str, typer.Argument(help="Evidence of after it, or https://HOST:2379.", show_default=False)],
    resource: Annotated[
        list[str],
        typer.Option(help="What to compare, as an EncryptionConfiguration names it; repeatable; '*' for all."),
    ] = ["secrets"],  # noqa: B006
    storage_prefix: Prefixes = None,
    encryption_config: Configurations = None,
    before_config: Annotated[
        list[Path] | None,
        typer.Option(help="An EncryptionConfiguration of BEFORE, instead; repeatable.", show_default=False),
    ] = None,
    after_config: Annotated[
        list[Path] | None,
        typer.Option(help="An EncryptionConfiguration of AFTER, instead; repeatable.", show_default=False),
    ] = None,
    kms_plugin: Plugins = None,
    kms: Kms = None,
    kms_budget: KmsBudget = 0,
    yes: Yes = False,
    current_kek: Keks = None,
    expect: Annotated[
        str, typer.Option(help="What AFTER must be: encrypted, plaintext, or the write provider: PROVIDER[:KEY].")
    ] = "encrypted",
    expect_before: Annotated[
        str, typer.Option(help="What BEFORE must have been, its current values only.", show_default=False)
    ] = "",
    same_content: Annotated[
        bool, typer.Option("--same-content", help="Nothing may have appeared, vanished or changed but the form.")
    ] = False,
    different_clusters: Annotated[
        bool, typer.Option("--different-clusters", help="Compare evidence of two clusters.")
    ] = False,
    any_order: Annotated[
        bool, typer.Option("--any-order", help="Compare though AFTER's revision is the older one.")
    ] = False,
    fail_on: FailOn = Level.MEDIUM,
    before_wal_dir: Annotated[
        Path | None, typer.Option(help="The WAL of BEFORE, where it lies elsewhere.", show_default=False)
    ] = None,
    after_wal_dir: Annotated[
        Path | None, typer.Option(help="The WAL of AFTER, where it lies elsewhere.", show_default=False)
    ] = None,
    raw: Raw = False,
    live: LiveOptions = NOT_LIVE,
    work_dir: WorkDir = None,
    range_only: Range = False,
    quick: Quick = False,
    accept_partial: AcceptPartial = False,
    csv: Annotated[Path | None, typer.Option(help="Write every object, one row each; - for standard output.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the comparison as one HTML file.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the comparison as JSON; - for standard output.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite reports that exist.")] = False,
) -> None:
    """Verify a migration: what became encrypted, was re-keyed, left, appeared, vanished or changed in between."""

    if range_only and not (live_options.is_live(before) or live_options.is_live(after)):
        raise UsageError("--range belongs to a live endpoint: https://HOST:2379")

    def options(
        evidence: str, configs: list[Path] | None, wal_dir: Path | None, expected: str, *, opening_only: bool = False
    ) -> Options:
        return library_options(
            resources=resource,
            storage_prefixes=storage_prefix,
            encryption_configs=tuple(map(str, configs or encryption_config or ())),
            kms_plugins=kms_plugin,
            **kms_options(kms, kms_budget, yes=yes),
            current_keks=current_kek,
            expect=expected,
            opening_only=opening_only,
            wal_dir=wal_dir,
            raw=raw and not live_options.is_live(evidence),
            work_dir=work_dir,
            range_only=range_only and live_options.is_live(evidence),
            quick=quick,
            accept_partial=accept_partial,
            origin=provenance.origin([before, after]) if html else (),
        )

    request = DiffRequest(
        before=before,
        after=after,
        live=live,
        before_options=options(
            before,
            before_config,
            before_wal_dir,
            expect_before or "encrypted",
            # a configuration of both sides is of AFTER's state where something else is expected of BEFORE
            opening_only=bool(expect_before) and not before_config,
        ),
        after_options=options(after, after_config, after_wal_dir, expect),
        expect_before=expect_before,
        same_content=same_content,
        different_clusters=different_clusters,
        any_order=any_order,
        fail_on=Severity[fail_on.name],
        csv=csv,
        html=html,
        json=json,
        force=force,
    )
    raise typer.Exit(worker.run(partial(run, request), request.limits))


def run(request: DiffRequest) -> int:
    """The exit code: 1 AFTER is not as expected, 3 inconclusive, 0 neither. Raises AuditorError."""
    request = replace(request, before=single(request.before), after=single(request.after))
    inputs = {
        path
        for options in (request.before_options, request.after_options)
        for path in (*options.encryption_configs, *address.files(options.kms), options.wal_dir)
        if path
    }
    access = _access(request)
    files = [path for path, each in zip((request.before, request.after), access, strict=True) if each is None]
    protected = [*map(Path, files), *map(Path, sorted(inputs)), *live_options.files(request.live)]
    output.check([*request.targets, *checksums.targets(request.targets)], protected, force=request.force)
    from auditor.diff.compare import DiffOptions, compare

    options = DiffOptions(
        request.before_options,
        request.after_options,
        access,
        expect_before=request.expect_before,
        different_clusters=request.different_clusters,
        any_order=request.any_order,
        same_content=request.same_content,
        rows=any(target is not None for target in request.targets),
    )
    with bars() as observer:
        comparison = compare(request.before, request.after, options, observer)
    after = comparison.after
    comparison = replace(comparison, after=replace(after, run=replace(after.run, origins=request.origins)))
    from auditor.reports import terminal
    from auditor.reports.diff import csv as diff_csv
    from auditor.reports.diff import html as diff_html
    from auditor.reports.diff import json as diff_json
    from auditor.reports.diff import terminal as diff_terminal

    if request.csv:
        output.save(request.csv, lambda out: diff_csv.write(comparison, out), force=request.force)
    if request.json:
        output.save(request.json, lambda out: diff_json.write(comparison, request.fail_on, out), force=request.force)
    if request.html:
        output.save(request.html, lambda out: diff_html.write(comparison, request.fail_on, out), force=request.force)
    checksums.write(request.targets, force=request.force)
    stream = sys.stderr if output.STDOUT in request.targets else sys.stdout
    printer = terminal.Printer(stream)
    diff_terminal.write(comparison, request.fail_on, printer)
    rows = {request.csv: sum(comparison.objects.values())} if request.csv else {}
    if lines := output.written([*request.targets, *checksums.targets(request.targets)], rows):
        printer.print(*lines, sep="\n", markup=False, soft_wrap=True)
    return comparison.exit_code(request.fail_on)


def _access(request: DiffRequest) -> "tuple[Access | None, Access | None]":
    """How to reach each side that is an endpoint. Raises UsageError."""
    lives = [live_options.is_live(each) for each in (request.before, request.after)]
    if all(lives) and request.live.more:
        raise UsageError("--endpoint: it cannot be told of which of the two clusters it is; leave it out")
    options = [request.live if each or not any(lives) else LiveOptions() for each in lives]
    before, after = (live_options.access(*each) for each in zip((request.before, request.after), options, strict=True))
    return before, after
