"""What a report of an audit is to the command that writes it: the same for every format of formats.REPORTS."""

from typing import IO, Any, ClassVar, Protocol

from auditor.model.audit import Audit
from auditor.model.findings import Rows


class Report(Protocol):
    """One file. The methods are called in this order, prepare() not at all where there are no rows yet.

    binary: whether `out` takes bytes.
    """

    binary: ClassVar[bool] = False

    def prepare(self, rows: Rows) -> None:  # noqa: ARG002 - most need nothing of them
        """Make what needs no hash, while the evidence is still being hashed."""
        return

    def write(self, audit: Audit, out: IO[Any]) -> None:
        """The whole report."""

    def caution(self, name: str) -> str:  # noqa: ARG002 - of the file
        """What its reader must be told, once it is written; empty where there is nothing."""
        return ""
