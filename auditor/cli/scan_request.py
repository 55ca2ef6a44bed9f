"""The request of a scan: what the command line asks for, as its child process gets it."""

from dataclasses import dataclass
from pathlib import Path

from auditor.cli import confinement, output
from auditor.cli.live_options import LiveOptions
from auditor.cli.sealing import NO_SEALS, Seals
from auditor.errors import UsageError, require
from auditor.model.vocabulary import Severity
from auditor.options import Options
from auditor.sandbox import Limits
from auditor.text import shown


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """One scan, as on the command line."""

    evidence: tuple[str, ...]
    live: LiveOptions
    options: Options
    fail_on: Severity
    csv: Path | None
    inventory: Path | None
    json: Path | None
    html: Path | None
    sarif: Path | None
    remediation: Path | None
    dataset: Path | None
    rotation: Path | None
    junit: Path | None
    markdown: Path | None
    metrics: Path | None
    split_by: str
    jobs: int
    force: bool
    verbose: bool
    names: bool
    origins: tuple[tuple[str, str], ...] = ()
    """Options that the environment or a file sets, and its name."""
    seals: Seals = NO_SEALS
    """What seals the list of checksums."""

    @property
    def targets(self) -> list[Path | None]:
        """The output files that have hashes beside them; the snapshot of --keep is the last."""
        snapshot = Path(self.options.keep) if self.options.keep else None
        reports = [self.csv, self.inventory, self.json, self.html, self.sarif, self.remediation, self.rotation]
        return [*reports, self.junit, self.markdown, snapshot]

    @property
    def reports(self) -> dict[str, Path]:
        """The files of the reports, by the name of the format."""
        files = {
            "csv": self.csv,
            f"inventory{self.inventory.suffix if self.inventory else ''}": self.inventory,
            "json": self.json,
            "sarif": self.sarif,
            "remediation": self.remediation,
            "html": self.html,
            "junit": self.junit,
            "markdown": self.markdown,
            "metrics": self.metrics,
        }
        return {name: path for name, path in files.items() if path is not None}

    @property
    def limits(self) -> Limits:
        """What its process needs. Raises UsageError for a --kms that is none."""
        files = [*self.targets, self.metrics, self.dataset]
        sign, elsewhere = self.seals.sign is not None, self.seals.timestamp
        return confinement.limits(self.evidence, [self.options], files, programs=sign, elsewhere=elsewhere)

    def check(self) -> None:
        """Raises UsageError where options contradict each other."""
        if self.inventory is not None and self.inventory.suffix not in {".csv", ".parquet"}:
            raise UsageError(f"--inventory {self.inventory}: the name must end in .csv or .parquet")
        if self.inventory is not None and self.inventory.suffix == ".parquet":
            require("--inventory *.parquet", "pyarrow", "parquet")
        if self.dataset is not None:
            require("--dataset", "pyarrow", "parquet")
        self._check_rotation()
        if self.options.keep == str(output.STDOUT):
            raise UsageError("--keep - : name a file for the snapshot")

    def _check_rotation(self) -> None:
        """Raises UsageError where the options of the list of what to rotate contradict each other."""
        if self.rotation is None:
            for name, value in (("--split-by", self.split_by), ("--owners", self.options.owners)):
                if value:
                    raise UsageError(f"{name} is about the list of what to rotate: give --rotation too")
            if self.options.owner_label:
                raise UsageError("--owner-label is about the list of what to rotate: give --rotation too")
        elif self.rotation.suffix not in {".csv", ".md"}:
            raise UsageError(f"--rotation {self.rotation}: the name must end in .csv or .md")
        elif self.split_by not in {"", "owner"}:
            raise UsageError(f"--split-by {shown(self.split_by)}: only `owner` is known")
