"""Raft's history in a data directory: its snapshots, and the entries of its log by their indexes.

canonical/raft src/uv.c (uvLoadSnapshotAndEntries), src/uv_list.c, src/uv_segment.c: the newest snapshot with its
description, then closed segments by the indexes in their names, then open ones by their numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.evidence.dqlite import commands, names, segments, snapshots
from auditor.evidence.dqlite.commands import Frames
from auditor.evidence.dqlite.names import Kind, Name
from auditor.evidence.dqlite.snapshots import Copy
from auditor.evidence.gaps import listed
from auditor.evidence.ledger import Account, Ledger
from auditor.model.evidence import Gap


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of raft's."""

    file: int
    index: int
    copies: tuple[Copy, ...]
    usable: bool
    """Whether it is whole, and described."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """The pages of one entry."""

    file: int
    index: int
    """0 where another entry has its index, or where its batch is damaged."""
    frames: Frames
    sound: bool


@dataclass
class History:
    """The history in the files of a data directory."""

    names: Sequence[str]
    """Names of segments and snapshots."""
    files: Sequence[Buffer]
    ledgers: Sequence[Ledger]
    gaps: list[Gap]
    snapshots: list[Snapshot] = field(default_factory=list)
    """Ascending."""
    transactions: list[Transaction] = field(default_factory=list)
    """In the order of the log."""
    indexes: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """Of all sound entries, ascending and each once."""
    voters: int | None = None
    """Members that vote, as the newest entry or snapshot says; None where none does."""

    @property
    def base(self) -> Snapshot | None:
        """The newest snapshot that can be read, from which the log is replayed."""
        return next((each for each in reversed(self.snapshots) if each.usable), None)

    @property
    def last(self) -> int:
        """The index of the newest entry."""
        own = [self.base.index] if self.base is not None else []
        return max([*own, *self.indexes[-1:].tolist()], default=0)

    def read_snapshots(self, described: dict[tuple[int, ...], int | None]) -> None:
        """Read the snapshots. described: the voters of each that has a sound description."""
        found = sorted(self._of(Kind.SNAPSHOT), key=lambda each: each[1].numbers)
        for file, name in found:
            copies, gaps = snapshots.read(self.files[file], self.names[file], self.ledgers[file])
            if name.numbers not in described:
                reason = f"{self.names[file]} has no whole description (.meta): dqlite does not use it"
                gaps.append(Gap(self.names[file], 0, 0, reason))
            self.gaps += gaps
            usable = not gaps and name.numbers in described
            self.snapshots.append(Snapshot(file, name.numbers[1], tuple(copies), usable))
        for numbers in sorted(set(described) - {name.numbers for _, name in found}):
            snapshot = f"snapshot-{'-'.join(map(str, numbers))}"
            reason = f"{snapshot} is described and is not there: missing, or not read"
            self.gaps.append(Gap(f"{snapshot}.meta", 0, 0, reason))
        self.voters = next((described[key] for key in sorted(described, reverse=True)), None)

    def read_log(self) -> None:
        """Read the segments: closed ones, then open ones. What two of them hold counts once."""
        closed = sorted(self._of(Kind.CLOSED), key=lambda each: each[1].numbers)
        opened = sorted(self._of(Kind.OPEN), key=lambda each: each[1].numbers)
        following = 0
        indexes = [self.indexes]
        for file, name in closed:
            first, last = name.numbers
            count, sound = self._segment(file, first, following)
            indexes.append(np.arange(max(first, following), first + sound, dtype=np.int64))
            if count != last - first + 1:
                reason = f"{self.names[file]} holds {count:,} entries, its name says {last - first + 1:,}"
                self.gaps.append(Gap(self.names[file], 0, 0, f"{reason}: cut, renamed, or damaged"))
            elif first < following:
                reason = f"{self.names[file]} holds entries that another segment holds: those of the first count"
                self.gaps.append(Gap(self.names[file], 0, 0, reason))
            following = max(following, first + sound)
        following = max(following, (self.base.index if self.base is not None else 0) + 1)
        for file, _ in opened:
            count, sound = self._segment(file, following, 0)
            indexes.append(np.arange(following, following + sound, dtype=np.int64))
            following += sound
        self.indexes = np.concatenate(indexes)

    def _segment(self, file: int, first: int, following: int) -> tuple[int, int]:
        """Read the entries of a segment: how many there are, and how many of them are sound.

        Args:
            file: The segment.
            first: The index of its first entry.
            following: The index from which on its entries are new.
        """
        buffer, ledger = self.files[file], self.ledgers[file]
        own = names.of_evidence(self.names[file])
        open_ = own is not None and own.kind is Kind.OPEN
        segment = segments.read(buffer, self.names[file], ledger, open_=open_)
        self.gaps += segment.gaps
        entries = segment.entries
        odd = []
        for row, (at, size, kind) in enumerate(
            zip(entries.at.tolist(), entries.size.tolist(), entries.kind.tolist(), strict=True)
        ):
            sound = bool(entries.sound[row])
            if kind == segments.CHANGE:
                voters = commands.voters(buffer, at, size)
                if voters is not None:
                    ledger.one(Account.STRUCTURE, at, at + size)
                    self.voters = voters if sound else self.voters
                else:
                    odd.append(at)
            elif kind == segments.COMMAND:
                frames = commands.frames(buffer, at, size, ledger)
                if isinstance(frames, Frames):
                    index = first + row if sound and first + row >= following else 0
                    self.transactions.append(Transaction(file, index, frames, sound))
                elif not frames:
                    odd.append(at)
        self.gaps += _odd(self.names[file], odd)
        return len(entries), int(np.argmin(np.append(entries.sound, np.False_)))

    def check(self) -> None:
        """Add gaps for entries that are missing behind the snapshot, or from the beginning."""
        base = self.base.index if self.base is not None else 0
        new = self.indexes[self.indexes > base]
        edges = np.concatenate(([base], new))
        holes = np.flatnonzero(np.diff(edges) > 1)
        for hole in holes[:10].tolist():
            first, last = int(edges[hole]) + 1, int(edges[hole + 1]) - 1
            where = "no snapshot that can be read holds what they did" if not base else "what they did is not known"
            reason = (
                f"entries {first:,} to {last:,} of the log are not there, and {where}: the newest state is not whole"
            )
            self.gaps.append(Gap(self.names[0], 0, 0, reason))

    def _of(self, kind: Kind) -> Iterator[tuple[int, Name]]:
        for file, name in enumerate(self.names):
            own = names.of_evidence(name)
            if own is not None and own.kind is kind:
                yield file, own


def _odd(name: str, at: list[int]) -> Iterator[Gap]:
    """Gaps for entries that are no commands of dqlite's."""
    return listed(
        np.array(at, np.int64),
        lambda offset: Gap(name, offset, 0, f"{name}: the entry at offset {offset:,} is nothing of dqlite's: searched"),
        lambda more: Gap(name, int(more[0]), 0, f"{name}: {more.size:,} more entries that are nothing of dqlite's"),
    )
