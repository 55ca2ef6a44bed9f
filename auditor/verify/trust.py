"""Whose word counts for what a run sealed: signers and time-stamping authorities."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Trust:
    """The files that say whom a reader of reports trusts; None where nobody need have sealed them."""

    signers: Path | None = None
    """The allowed signers, one of whom must have signed the lists of checksums (ssh-keygen(1))."""
    roots: Path | None = None
    """Certificates in PEM under which an authority must have time-stamped them."""

    @property
    def any(self) -> bool:
        return self.signers is not None or self.roots is not None


NOBODY = Trust()
