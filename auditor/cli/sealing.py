"""What is written beside reports: lists of their checksums, and of each a signature and a time stamp if asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from auditor.cli import checksums, signing
from auditor.cli.output import save
from auditor.errors import UsageError
from auditor.verify import signatures, timestamps


@dataclass(frozen=True, slots=True)
class Seals:
    """The options."""

    sign: Path | None = None
    """The file of the key; None for no signature."""
    timestamp: str = ""
    """URL of the authority; empty for no time stamp."""

    def check(self, outputs: Sequence[Path | None]) -> None:
        """Refuse what cannot be made, before the audit. Raises UsageError or MissingExtra."""
        for option, value in (("--sign", self.sign), ("--timestamp", self.timestamp)):
            if value and not checksums.targets(outputs):
                raise UsageError(f"{option} is of the list of checksums of the reports: write one to a file")
        if self.sign is not None:
            signing.check(self.sign)
        if self.timestamp:
            from auditor.cli import stamping  # HTTP takes time to import

            stamping.check(self.timestamp)

    def files(self, outputs: Sequence[Path | None]) -> list[Path]:
        """The files that write() makes."""
        lists = list(checksums.targets(outputs))
        signed = [_beside(each, signatures.SUFFIX) for each in lists if self.sign is not None]
        return [*lists, *signed, *(_beside(each, timestamps.SUFFIX) for each in lists if self.timestamp)]

    def write(self, outputs: Sequence[Path | None], *, force: bool) -> None:
        """Write the lists of checksums of some outputs, and what seals each into files beside it.

        Args:
            outputs: The outputs, as checksums.write() gets them.
            force: Whether a file may be overwritten.

        Raises:
            UsageError: No signature or time stamp is made, or a file cannot be written.
        """
        checksums.write(outputs, force=force)
        for listed in checksums.targets(outputs):
            if self.sign is not None:
                made = partial(_write, signing.sign(self.sign, listed))
                save(_beside(listed, signatures.SUFFIX), made, force=force, binary=True)
            if self.timestamp:
                from auditor.cli import stamping

                made = partial(_write, stamping.stamp(self.timestamp, listed))
                save(_beside(listed, timestamps.SUFFIX), made, force=force, binary=True)


NO_SEALS = Seals()


def _beside(listed: Path, suffix: str) -> Path:
    return listed.with_name(listed.name + suffix)


def _write(raw: bytes, out: IO[bytes]) -> None:
    out.write(raw)
