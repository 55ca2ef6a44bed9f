"""Limits of what a container unpacks to, against decompression bombs."""

from dataclasses import dataclass

from auditor.errors import UnreadableEvidence

FREE = 256 << 20
"""Bytes that are allowed at any ratio: a data directory holds preallocated WAL segments of 64 MB of zeros."""


class Refused(UnreadableEvidence):
    """A container that exceeds its limits, or that names files outside itself."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one container."""

    largest: int = 64 << 30
    """Unpacked bytes in all."""
    ratio: int = 250
    """Unpacked bytes for each byte of the container."""
    depth: int = 6
    """Containers inside each other."""
    members: int = 100_000
    """Entries of all its archives."""


class Budget:
    """The use that one container has made of its limits. Bytes count at every level of unpacking."""

    def __init__(self, limits: Limits, name: str, packed: int) -> None:
        self.limits = limits
        self._name = name
        self._most = min(limits.largest, FREE + limits.ratio * packed)
        self._by_ratio = self._most < limits.largest
        self._bytes = 0
        self._members = 0

    @property
    def most(self) -> int:
        """Unpacked bytes that are allowed in all."""
        return self._most

    def take(self, count: int) -> None:
        """Count unpacked bytes. Raises Refused where they are too many."""
        self._bytes += count
        if self._bytes <= self._most:
            return
        if self._by_ratio:
            why = f"more than {self.limits.ratio} times its own size, as a bomb does: raise --max-ratio if it is none"
        else:
            why = f"more than {self.limits.largest:,} bytes: raise --max-unpacked if that is right"
        raise Refused(f"{self._name} unpacks to {why}; nothing was concluded")

    def member(self) -> None:
        """Count one entry of an archive. Raises Refused."""
        self._members += 1
        if self._members > self.limits.members:
            raise Refused(
                f"{self._name} holds more than {self.limits.members:,} entries: unpack it, and scan its parts"
            )

    def level(self, depth: int) -> None:
        """Check the depth of a container. Raises Refused where it is too deep."""
        if depth > self.limits.depth:
            raise Refused(
                f"{self._name}: more than {self.limits.depth} containers inside each other; unpack some first"
            )
