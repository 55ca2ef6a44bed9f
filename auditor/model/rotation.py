"""The list of credentials to rotate."""

from collections.abc import Hashable
from dataclasses import dataclass, field

COLUMNS = {
    "id": "number of the row in this list",
    "order": "1 what makes others worthless, 2 tokens that may do anything, 3 what other systems take, 4 the rest",
    "status": "current, unknown, changed or expired, by value",
    "class": "by the Secret's type, names of data and labels, never by a value",
    "credentials": "values that must change",
    "secrets": "every Secret that holds them, and the name of the value",
    "valid_until": "last day, UTC; none stated",
    "keeper": "who writes the Secret; empty where nobody is named",
    "rotate_at": "where to change it: here, or at the source",
    "rotate": "how",
    "revoke": "old one revoked: a box to tick where a new one leaves the old one valid",
    "reach": "what the token may do here, and by which binding",
    "used_by": "objects that refer to the Secrets",
    "can_read": "service accounts that RBAC here lets read them",
    "owner": "team, of --owners or of the namespace's --owner-label",
    "baseline": "new or unchanged, in comparison with --baseline",
}
"""Columns of the list, in their order."""


@dataclass(frozen=True, slots=True)
class RotationRow:
    """One value that must change, or all of one controller that renews them."""

    order: int
    status: str
    kind: str
    """Class of the credential."""
    credentials: int
    """Number of values."""
    secrets: tuple[str, ...]
    """Secrets and names of the values, sorted."""
    valid_until: str
    keeper: str
    rotate_at: str
    rotate: str
    revoke: bool
    reach: str
    used_by: str
    can_read: str
    owner: str
    baseline: str = ""


SecretName = tuple[bytes, bytes]
"""Namespace and name."""


@dataclass(frozen=True, slots=True, repr=False)
class RotationValues:
    """The values of one exhibit, with which its list becomes one of several exhibits. Nothing of it is written."""

    rows: tuple[RotationRow, ...]
    """One a value, in no order."""
    identities: tuple[Hashable, ...]
    """What makes the value of each row the same as another's, by a hash under the run's random key."""
    digests: tuple[bytes | None, ...]
    """The hash of each value; None for a fragment."""
    current: frozenset[bytes]
    """Hashes of all values of the Secrets that are current in this exhibit."""
    unread: bool
    """Whether a value that is current may not be among them."""
    named: frozenset[SecretName]
    """The Secrets that hold a value of the list."""
    bundles: frozenset[SecretName]
    """The readable Secrets with nothing but public parts."""
    empty: frozenset[SecretName]
    """The readable Secrets without data."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What to rotate, in its order."""

    rows: tuple[RotationRow, ...]
    leak: bool
    """Whether the newest Secrets are still written readable."""
    bundles: int = 0
    """Readable Secrets with nothing but public parts, such as bundles of CAs."""
    empty: int = 0
    """Readable Secrets without data."""
    gone: int = 0
    """Readable Secrets of the baseline that are not readable in this run's evidence."""

    numbers: tuple[int, ...] = ()
    """Number of each row in the whole list, from 0, where this is a part of one."""
    values: RotationValues | None = field(default=None, repr=False)

    @property
    def credentials(self) -> int:
        """Number of values that must change: copies of one count once."""
        return sum(row.credentials for row in self.rows)

    def cells(self, number: int) -> tuple[str, ...]:
        """The cells of a row in the order of COLUMNS."""
        row = self.rows[number]
        return (
            f"R{(self.numbers[number] if self.numbers else number) + 1:03}",
            str(row.order),
            row.status,
            row.kind,
            str(row.credentials),
            ";".join(row.secrets),
            row.valid_until,
            row.keeper,
            row.rotate_at,
            row.rotate,
            "[ ]" if row.revoke else "",
            row.reach,
            row.used_by,
            row.can_read,
            row.owner,
            row.baseline,
        )
