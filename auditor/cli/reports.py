"""The reports of one scan: prepared while the evidence is being hashed, written when the audit is done."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.cli import output
from auditor.errors import UsageError
from auditor.model.audit import Audit
from auditor.model.findings import Rows
from auditor.model.vocabulary import Severity
from auditor.observer import Observer
from auditor.options import Options

if TYPE_CHECKING:
    from auditor.reports.interface import Report


SCRIPT = "remediation"
"""The report that is a script."""


class ReportFiles:
    """Reports and their files."""

    def __init__(self, targets: Mapping[str, Path], fail_on: Severity, *, names: bool = False) -> None:
        """The reports of these files.

        Args:
            targets: By a name of formats.REPORTS.
            fail_on: The severity of --fail-on.
            names: Whether a pipeline's reports name objects.
        """
        self._names = names
        self._targets = targets
        self._fail_on = fail_on
        self._reports: list[tuple[Path, Report]] = []
        self.rows: dict[Path, int] = {}
        """The number of rows of the files that have some, once they are written."""

    def prepare(self, rows: Rows) -> None:
        if not self._targets:
            return
        from auditor.reports.csv import FindingsSheet
        from auditor.reports.formats import REPORTS, Asked

        findings = FindingsSheet()
        self._reports = [
            (self._targets[name], create(Asked(self._fail_on, self._names, findings)))
            for name, create in REPORTS.items()
            if name in self._targets
        ]
        for _, report in self._reports:
            report.prepare(rows)

    def check(self, options: Options, pieces: int) -> None:
        """Refuse what --remediation does not go with. Raises UsageError.

        Args:
            options: The options of the scan.
            pieces: The number of pieces of evidence.
        """
        if SCRIPT not in self._targets:
            return
        if options.redact_names:
            raise UsageError("--remediation writes commands with the names of objects: leave out --redact-names")
        if options.use_found_config:
            raise UsageError("--remediation needs the configuration in --encryption-config, not --use-found-config")
        if pieces > 1:
            raise UsageError("--remediation: a script is of one item of evidence: scan it alone")

    def any_cluster(self, options: Options) -> Options:
        """The options of the library: for a script --expect-cluster is enough where evidence does not show its own."""
        return replace(options, expect_cluster="") if SCRIPT in self._targets else options

    def of_cluster(self, audit: Audit, options: Options) -> Audit:
        """The audit, noting whether only --expect-cluster says of which cluster it is. Raises UnexpectedEvidence."""
        if SCRIPT not in self._targets or not options.expect_cluster:
            return audit
        from auditor.audit import expectations

        evidence, notes = audit.evidence, audit.notes
        if evidence.cluster.uid:
            expected = options.expect_cluster
            expectations.cluster(evidence.name, evidence.cluster, evidence.backend.cluster_id, expected)
        else:
            notes += ("the evidence does not show of which cluster it is: for the script --expect-cluster says so",)
        settings = {**dict(audit.run.options), "expect_cluster": options.expect_cluster}
        return replace(audit, notes=notes, run=replace(audit.run, options=tuple(settings.items())))

    def write(self, audit: Audit, *, force: bool) -> None:
        """Write all of them, or none where one refuses the audit. Raises UsageError."""
        for _, report in self._reports:
            report.check(audit)
        for target, report in self._reports:
            output.save(target, partial(report.write, audit), force=force, binary=report.binary, private=report.private)
            if (count := report.rows(audit)) is not None:
                self.rows[target] = count
            name = "standard output" if target == output.STDOUT else target.name
            if caution := report.caution(name):
                sys.stderr.write(f"etcd-auditor: {caution}\n")


class Preparing(Observer):
    """Prepares the reports as soon as their rows are known, and passes progress on to another observer."""

    def __init__(self, observer: Observer, reports: ReportFiles) -> None:
        self._observer = observer
        self._reports = reports

    def received(self, done: int, total: int) -> None:
        self._observer.received(done, total)

    def hashed(self, done: int, total: int) -> None:
        self._observer.hashed(done, total)

    def unwrapped(self, done: int, total: int) -> None:
        self._observer.unwrapped(done, total)

    def confirm(self, text: str) -> bool:
        return self._observer.confirm(text)

    def rows(self, rows: Rows) -> None:
        self._reports.prepare(rows)


def write_dataset(audit: Audit, folder: Path, *, force: bool) -> None:
    from auditor.reports import dataset

    files = [(path, partial(dataset.write, table)) for path, table in dataset.files(audit)]
    output.fill(folder, files, force=force)


def rotation_files(audit: Audit, target: Path, *, split: bool) -> dict[Path, Audit]:
    """The files of the list of what to rotate, and the audit that each is of: one for each owner, or one."""
    if not split:
        return {target: audit}
    from auditor.reports import rotation

    return {
        target.with_name(f"{target.stem}.{owner}{target.suffix}"): own
        for owner, own in rotation.by_owner(audit).items()
    }


def write_rotation(files: Mapping[Path, Audit], *, force: bool) -> dict[Path, int]:
    """Write the list of what to rotate; the number of rows of each file."""
    from auditor.reports import rotation

    for path, audit in files.items():
        write = rotation.write_markdown if path.suffix == ".md" else rotation.write_csv
        output.save(path, partial(write, audit), force=force)
    return {path: len(list(rotation.lines(audit.rotation))) for path, audit in files.items() if audit.rotation}
