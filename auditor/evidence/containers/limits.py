"""How much may come out of a container before it is taken for a bomb."""

from dataclasses import dataclass

from auditor.errors import UnreadableEvidence

FREE = 256 << 20
"""Bytes that may come out whatever the ratio: a data directory holds preallocated WAL files of 64 MB of zeros."""


class Refused(UnreadableEvidence):
    """A container that asks for more than it may have, or that names files outside itself."""


@dataclass(frozen=True, slots=True)
class Limits:
    """largest: bytes in all. ratio: bytes for each byte of the container. depth: containers inside each other."""

    largest: int = 64 << 30
    ratio: int = 250
    depth: int = 6
    members: int = 100_000


class Budget:
    """What one container has used of its limits. Bytes count at every level that they are unpacked at."""

    def __init__(self, limits: Limits, name: str, packed: int) -> None:
        self.limits = limits
        self._name = name
        self._most = min(limits.largest, FREE + limits.ratio * packed)
        self._by_ratio = self._most < limits.largest
        self._bytes = 0
        self._members = 0

    @property
    def most(self) -> int:
        """Bytes that may come out in all."""
        return self._most

    def take(self, count: int) -> None:
        """Raises Refused where this many more bytes are too many."""
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
        """Raises Refused where containers lie in each other too deep."""
        if depth > self.limits.depth:
            raise Refused(
                f"{self._name}: more than {self.limits.depth} containers inside each other; unpack some first"
            )
