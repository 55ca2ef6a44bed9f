"""Observers of a run: a progress bar, a report that is prepared meanwhile, the run's own log."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditor.model.findings import Rows


class Observer:
    """The observer that does nothing; a subclass overrides some methods. Called in the thread that runs the audit."""

    def received(self, done: int, total: int) -> None:
        """Bytes that a live etcd has sent, and bytes in all."""

    def hashed(self, done: int, total: int) -> None:
        """Bytes of the evidence that are hashed, and bytes in all."""

    def rows(self, rows: "Rows") -> None:
        """The rows of the reports, as a rule while the evidence is still being hashed.

        Reports can be prepared meanwhile. Called again where the sweep meets more than the readers, and for several
        exhibits after the last one.
        """

    def unwrapped(self, done: int, total: int) -> None:
        """Wrapped keys that a KMS was asked for, and wrapped keys in all."""

    def confirm(self, text: str) -> bool:  # noqa: ARG002 - of those who can ask somebody
        """Whether calls to a KMS may be made. text: lines that say how many, to which key and as whom."""
        return False

    def step(self, text: str) -> None:
        """A step of the run is over; the text names neither this machine nor its folders."""


class Calls(Observer):
    """Passes on what is said and asked of calls to a KMS, and nothing else."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def unwrapped(self, done: int, total: int) -> None:
        self._observer.unwrapped(done, total)

    def confirm(self, text: str) -> bool:
        return self._observer.confirm(text)


SILENT = Observer()
