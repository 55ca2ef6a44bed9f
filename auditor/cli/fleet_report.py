"""The run of `fleet report`: questions are asked, files are written, the answers are printed."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from auditor.cli import checksums, output
from auditor.errors import UsageError, require
from auditor.text import shown


@dataclass(frozen=True, slots=True)
class FleetReportRequest:
    """One report on a fleet, as on the command line."""

    dataset: str
    baseline: str
    new_only: bool
    as_of: str
    max_age: str
    retention: str
    restore_days: int
    fail_on: str
    migration: str
    since: str
    statement: Path | None
    files: Mapping[str, Path]
    """The files of the formats, by the name of each."""
    force: bool


def run_report(request: FleetReportRequest) -> int:
    """The exit code: 1 findings, 3 an open question, 0 neither. Raises AuditorError."""
    require("fleet report", "pyarrow", "fleet")
    from auditor.fleet.folder import DataSetFolder
    from auditor.fleet.report import build, since, statement, write
    from auditor.fleet.report.context import Context, Questions
    from auditor.fleet.report.migration import Target

    targets = [*request.files.values(), request.statement]
    folders = [] if "://" in request.dataset else [Path(request.dataset)]
    output.check([*targets, *checksums.targets(targets)], folders, force=request.force)
    if request.new_only and not request.baseline:
        raise UsageError("--new-only needs --baseline FILE: without it no finding is new")
    if request.since and not request.migration:
        raise UsageError("--from belongs to --migration")
    target = Target.of(request.migration, request.since) if request.migration else None
    earlier = since.load(request.baseline) if request.baseline else None
    questions = Questions(
        as_of=request.as_of,
        max_age=_span("--max-age", request.max_age),
        retention=_span("--retention", request.retention) if request.retention else 0,
        restore_days=request.restore_days,
        fail_on=request.fail_on,
        new_only=request.new_only,
    )
    dataset = request.dataset if "://" in request.dataset else str(Path(request.dataset).absolute())
    context = Context(DataSetFolder(dataset), questions)
    report = build.build(context, earlier, target)
    for name, path in request.files.items():
        output.save(path, partial(write.FORMATS[name], report), force=request.force)
    if request.statement is not None:
        output.save(request.statement, partial(statement.write, report, context), force=request.force)
    checksums.write(targets, force=request.force)
    code = report.exit_code
    stream = sys.stderr if output.STDOUT in targets else sys.stdout
    stream.write(f"{report.sections[0].sentences[0]} (exit {code})\n")
    for section in report.sections[1:]:
        stream.write(f"{section.title}: {section.answer.value}. {' '.join(section.sentences)}\n")
    stream.writelines(f"Open: {question}\n" for question in report.open_questions)
    stream.writelines(f"{line}\n" for line in output.written([*targets, *checksums.targets(targets)]))
    return code


def _span(option: str, text: str) -> int:
    from auditor.fleet.clusters import seconds

    span = seconds(text)
    if not span:
        raise UsageError(f"{option} {shown(text)}: expected a number and one of s, m, h, d, w, such as 26h")
    return span
