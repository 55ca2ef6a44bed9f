"""What watches a run: a progress bar, a report that is prepared meanwhile, the run's own log."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditor.model.findings import Rows


class Observer:
    """Does nothing; a subclass overrides what it is interested in. Called in the thread that runs the audit."""

    def received(self, done: int, total: int) -> None:
        """Bytes that a live etcd has sent, and that it will have sent in all."""

    def hashed(self, done: int, total: int) -> None:
        """Bytes of the evidence that are hashed, and bytes in all."""

    def rows(self, rows: "Rows") -> None:
        """The rows of the reports, while the evidence is still being hashed: reports can be prepared meanwhile."""

    def step(self, text: str) -> None:
        """A step of the run is over; the text names neither this machine nor its folders."""


SILENT = Observer()
