"""The run of `fleet scan`: options are checked, progress is shown, a line is written for each backup."""

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from auditor.cli import output
from auditor.errors import UsageError, require
from auditor.model.vocabulary import Severity
from auditor.options import Options
from auditor.text import shown

if TYPE_CHECKING:
    from auditor.fleet.scan import Begun, FleetScan, Summary

NEITHER = (
    "give --compare-key FILE (made by `fleet new-key`) or --no-compare. Without a key it cannot be told whether a "
    "value in an old backup is current, since when it is readable, or that several clusters hold the same one"
)


@dataclass(frozen=True, slots=True)
class FleetScanRequest:
    """One scan of a fleet, as on the command line."""

    sources: tuple[str, ...]
    dataset: str
    compare_key: str
    no_compare: bool
    new_compare_key: bool
    clusters: str
    since: str
    sample: int
    newest: int
    retries: int
    retry_failed: bool
    scheduler: str
    tls: tuple[str, str, str]
    jobs: int
    dashboard: bool
    options: Options
    fail_on: Severity
    json: Path | None
    force: bool

    def check(self) -> None:
        """Raises UsageError where options contradict each other."""
        if bool(self.compare_key) == self.no_compare:
            raise UsageError(NEITHER)
        if self.options.redact_names and not self.options.redact_key:
            raise UsageError("--redact-names: ordinals differ from backup to backup: give --redact-key too")
        output.check([self.json], [], force=self.force)

    def check_places(self, sources: Sequence[str]) -> None:
        """Raises UsageError where the compare key or the lines of --json lie in the data set, or where backups do.

        sources: those of --clusters too.
        """
        from auditor.fleet import listing, places

        own = {"--compare-key": self.compare_key, "--json": "" if self.json in {None, output.STDOUT} else self.json}
        for source in (self.dataset, *listing.expand(sources)):
            for option, path in own.items():
                if path and places.holds(source, str(path)):
                    raise UsageError(f"{option} {shown(path)} lies inside {shown(source)}: keep it apart")


def run_scan(request: FleetScanRequest) -> int:
    """The exit code: 1 findings at or above --fail-on, 3 inconclusive, 0 neither. Raises AuditorError."""
    require("fleet scan", "pyarrow", "fleet")
    request.check()
    gc.enable()  # a run of days leaves circles of Dask's behind
    scan_request = _library_request(request)
    from auditor.fleet.scan import scan

    with _lines(request) as write, _bar() as (begun, advance):

        def start(begin: "Begun") -> None:
            write({"event": "begin", **asdict(begin)})
            begun(begin)

        def done(row: dict[str, Any]) -> None:
            write({"event": "backup", **{name: value for name, value in row.items() if value is not None}})
            advance(row)

        summary = scan(scan_request, start, done)
        code = summary.exit_code(request.fail_on)
        write({"event": "end", **asdict(summary), "exit": code})
    stream = sys.stderr if request.json == output.STDOUT else sys.stdout
    stream.write("".join(f"{line}\n" for line in _sentences(summary, code, request)))
    return code


def _library_request(request: FleetScanRequest) -> "FleetScan":
    from auditor.audit import expectations, redaction
    from auditor.fleet import clusters, compare
    from auditor.fleet.engine import Engine
    from auditor.fleet.scan import FleetScan
    from auditor.fleet.selection import FirstLook
    from auditor.fleet.settings import Settings

    expectations.check(request.options)
    known = clusters.read(request.clusters) if request.clusters else clusters.NONE
    if not request.options.kms_confirmed and any(
        known.options_of(each, request.options).kms for each in (None, *known.all)
    ):
        raise UsageError("calls to a KMS must be confirmed with --yes: nobody can be asked on a worker")
    request.check_places((*request.sources, *known.sources))
    names = redaction.prepare(request.options)
    ca, cert, key = request.tls
    return FleetScan(
        sources=request.sources,
        settings=Settings(
            dataset=request.dataset if "://" in request.dataset else str(Path(request.dataset).absolute()),
            options=request.options,
            clusters=known,
            compare_key=str(Path(request.compare_key).absolute()) if request.compare_key else "",
            compare_check=compare.check_value(compare.read_key(request.compare_key)) if request.compare_key else "",
            retries=request.retries,
        ),
        engine=Engine(
            scheduler=request.scheduler,
            ca=ca,
            cert=cert,
            key=key,
            jobs=request.jobs,
            work_dir=request.options.work_dir,
            dashboard=request.dashboard,
        ),
        look=FirstLook(request.since, request.sample, request.newest),
        retry_failed=request.retry_failed,
        redaction=names.redaction.label if names.redaction is not None else "",
        new_compare_key=request.new_compare_key,
    )


@contextmanager
def _lines(request: FleetScanRequest) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that writes one line of JSON; nothing without --json."""
    if request.json is None:
        yield lambda _: None
        return
    stream: IO[str]
    if request.json == output.STDOUT:
        stream = sys.stdout
    else:
        request.json.unlink(missing_ok=True)
        stream = os.fdopen(_private(request.json), "w", encoding="utf-8")
    try:

        def write(event: dict[str, Any]) -> None:
            stream.write(json.dumps(event) + "\n")
            stream.flush()

        yield write
    finally:
        if stream is not sys.stdout:
            stream.close()


def _private(path: Path) -> int:
    """A new file for its owner only, opened for writing. Raises UsageError."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, output.MODE)
    except OSError as error:
        raise UsageError(f"{shown(path)} cannot be written: {error.strerror}") from None


@contextmanager
def _bar() -> Iterator[tuple[Callable[["Begun"], None], Callable[[dict[str, Any]], None]]]:
    """Two functions that show progress: on a terminal a bar, else nothing."""
    if not sys.stderr.isatty():
        yield lambda _: None, lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("backups", total=None, note="")
        seen = {"backups": 0, "todo": 0, "bytes": 0, "findings": 0}

        def begun(begin: "Begun") -> None:
            seen["todo"] += begin.todo
            seen["bytes"] += begin.size
            progress.update(task, total=seen["bytes"])

        def advance(row: dict[str, Any]) -> None:
            seen["backups"] += 1
            seen["findings"] += row.get("severity") in {"critical", "high", "medium"}
            note = f"{seen['backups']:,} of {seen['todo']:,} backups, {seen['findings']:,} with findings"
            progress.update(task, advance=row["size"] or 0, note=note)

        yield begun, advance


def _sentences(summary: "Summary", code: int, request: FleetScanRequest) -> Iterator[str]:
    verdict = {0: "NO FINDINGS in what was examined", 1: "FINDINGS", 3: "INCONCLUSIVE"}[code]
    examined = summary.states.get("examined", 0)
    yield (
        f"{verdict}: {examined:,} of {summary.found:,} backups examined, {summary.newly:,} attempted in this run "
        f"(exit {code})"
    )
    failed = {state: count for state, count in sorted(summary.states.items()) if state != "examined"}
    if failed:
        yield "Not examined: " + ", ".join(f"{count:,} {state}" for state, count in failed.items())
    if not summary.found:
        yield "No source holds a backup: nothing is concluded"
    if summary.first_look:
        yield f"Left out: {summary.found - summary.chosen:,} (--since, --sample, --newest-per-cluster): never a pass"
    if summary.incomplete:
        yield f"Examined with gaps or without a conclusion: {summary.incomplete:,}"
    if summary.unversioned:
        yield f"Earlier versions of objects were not looked at in {', '.join(summary.unversioned)}"
    counts = summary.severities
    levels = [f"{counts[name]:,} {name}" for name in ("critical", "high", "medium", "low") if name in counts]
    if levels:
        yield f"Backups by their most severe finding: {', '.join(levels)}"
    yield f"Wrote {shown(request.dataset)}; next: etcd-auditor fleet report {shown(request.dataset)}"
