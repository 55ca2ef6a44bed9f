"""The interface of an audit's reports to the command that writes them: the same for all of formats.REPORTS."""

from typing import IO, Any, ClassVar, Protocol

from auditor.model.audit import Audit
from auditor.model.findings import Rows


class Report(Protocol):
    """One file. The methods are called in this order, prepare() only where there are rows early."""

    binary: ClassVar[bool] = False
    """Whether `out` takes bytes."""

    private: ClassVar[bool] = True
    """Whether only the owner of the file may read it."""

    def prepare(self, rows: Rows) -> None:  # noqa: ARG002 - most prepare nothing
        """Prepare everything that needs no hash, while the evidence is still being hashed."""
        return

    def check(self, audit: Audit) -> None:  # noqa: ARG002 - most take any audit
        """Refuse an audit, before any report is written. Raises UsageError."""
        return

    def write(self, audit: Audit, out: IO[Any]) -> None:
        """Write the whole report."""

    def rows(self, audit: Audit) -> int | None:  # noqa: ARG002 - of the file
        """The number of rows in the file; None where it has none."""
        return None

    def caution(self, name: str) -> str:  # noqa: ARG002 - of the file
        """A warning for the reader of the file; empty where there is none."""
        return ""
