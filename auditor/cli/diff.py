"""etcd-auditor diff: compare two pieces of evidence, write what was asked for, print the summary."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.cli import checksums, live_options, output
from auditor.cli.live_options import LiveOptions
from auditor.cli.progress import hashing
from auditor.errors import UsageError
from auditor.model.vocabulary import Severity
from auditor.options import Options

if TYPE_CHECKING:
    from auditor.evidence.live.access import Access


@dataclass(frozen=True, slots=True)
class DiffRequest:
    """One comparison as the command line asked for it."""

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

    @property
    def targets(self) -> list[Path | None]:
        return [self.csv, self.html, self.json]


def run(request: DiffRequest) -> int:
    """The exit code: 1 AFTER is not as expected, 3 inconclusive, 0 neither. Raises AuditorError."""
    given = {
        path
        for each in (request.before_options, request.after_options)
        for path in (*each.encryption_configs, each.wal_dir)
        if path
    }
    access = _access(request)
    files = [path for path, each in zip((request.before, request.after), access, strict=True) if each is None]
    read = [*map(Path, files), *map(Path, sorted(given))]
    output.check([*request.targets, *checksums.targets(request.targets)], read, force=request.force)
    from auditor.diff.compare import DiffOptions, compare

    wanted = DiffOptions(
        request.before_options,
        request.after_options,
        access,
        expect_before=request.expect_before,
        different_clusters=request.different_clusters,
        any_order=request.any_order,
        same_content=request.same_content,
        rows=any(target is not None for target in request.targets),
    )
    with hashing() as progress:
        made = compare(request.before, request.after, wanted, progress)
    from auditor.reports import terminal
    from auditor.reports.diff import csv as diff_csv
    from auditor.reports.diff import html as diff_html
    from auditor.reports.diff import json as diff_json
    from auditor.reports.diff import terminal as diff_terminal

    if request.csv:
        output.save(request.csv, lambda out: diff_csv.write(made, out), force=request.force)
    if request.json:
        output.save(request.json, lambda out: diff_json.write(made, request.fail_on, out), force=request.force)
    if request.html:
        output.save(request.html, lambda out: diff_html.write(made, request.fail_on, out), force=request.force)
    checksums.write(request.targets, force=request.force)
    stream = sys.stderr if output.STDOUT in request.targets else sys.stdout
    diff_terminal.write(made, request.fail_on, terminal.Printer(stream))
    return made.exit_code(request.fail_on)


def _access(request: DiffRequest) -> tuple[Access | None, Access | None]:
    """How to reach each side that is an endpoint; both with what the command line says. Raises UsageError."""
    lives = [live_options.is_live(each) for each in (request.before, request.after)]
    if all(lives) and request.live.more:
        raise UsageError("--endpoint: it cannot be told of which of the two clusters it is; leave it out")
    given = [request.live if each or not any(lives) else LiveOptions(timeout=request.live.timeout) for each in lives]
    before, after = (live_options.access(*each) for each in zip((request.before, request.after), given, strict=True))
    return before, after
