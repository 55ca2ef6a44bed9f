"""The backups of Gardener's etcd-backup-restore: full snapshots, and increments that hold every change between them.

Format: etcd-backup-restore pkg/snapstore/snapshot.go (names), pkg/snapshot/snapshotter/snapshotter.go (an increment is
a JSON array of events, and 32 bytes of SHA-256 of it behind it), pkg/compressor (gzip, zlib, Go's LZW).
"""

import hashlib
import os
import re
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.batch import Batch
from auditor.errors import UnreadableEvidence
from auditor.evidence import backend, records, snapshot
from auditor.evidence.file import EvidenceFile
from auditor.model import Backend, Gap, PageMap, Place, State, Unexamined
from auditor.text import printable

KIND = "Gardener's etcd backup"
INCREMENT = "increment of Gardener's etcd backup"
HASH = 32
STEP = 1 << 20
MOST_RATIO = 1100
"""Deflate packs no better than 1032 to 1."""
_NAME = re.compile(r"(Full|Incr)-(\d{8,})-(\d{8,})-(\d+)(\.gz|\.zlib|\.Z)?(\.final)?")
_EVENTS = re.compile(rb'\s*\[\s*(\{\s*"etcdEvent"|\])')


class Named(NamedTuple):
    """What the name of an object of the backup says: the revisions that it begins and ends with."""

    full: bool
    first: int
    last: int
    taken: int
    packing: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a backup holds. main: the full snapshot that the newest chain begins with, or the first increment."""

    main: EvidenceFile
    kinds: tuple[str, ...]
    batches: tuple[Batch, ...]
    facts: Backend
    pages: PageMap
    trailer: int
    gaps: tuple[Gap, ...]
    unexamined: tuple[Unexamined, ...]
    notes: tuple[str, ...]


def is_increment(head: bytes) -> bool:
    """Whether a file that begins so is an increment, unpacked."""
    return bool(_EVENTS.match(head)) and b"etcdEvent" in head[:64]


def named(name: str) -> Named | None:
    """What a file's name says; None where it is no object of such a backup."""
    found = _NAME.fullmatch(name.rpartition("/")[2].partition("!")[0])
    if found is None:
        return None
    first, last, taken = (int(found[number]) for number in (2, 3, 4))
    return Named(found[1] == "Full", first, last, taken, found[5] or "")


def open_object(path: Path, shown: str, *, hashed: bool) -> tuple[EvidenceFile, str]:
    """One object, unpacked into a private unlinked file where it is packed; and a note on what it was unpacked from.

    Raises UnreadableEvidence where it cannot be read or unpacked.
    """
    packing = (named(path.name) or Named(full=False, first=0, last=0, taken=0, packing="")).packing
    try:
        with path.open("rb") as raw:
            head = raw.read(2)
    except OSError as error:
        raise UnreadableEvidence(f"{shown} cannot be opened: {error.strerror}") from None
    # Go's compress/lzw begins with a code of 9 bits that clears its table; a database begins with zeros
    if packing == ".Z" or (head[:1] == b"\0" and head[1:] and head[1] & 1):
        raise UnreadableEvidence(f"{shown} is packed with LZW, which is not read: unpack it, or take it as gzip")
    if not packing and head != b"\x1f\x8b":
        return EvidenceFile(path, hashed=hashed, name=shown), ""
    descriptor, packed, digest = _unpacked(path, shown)
    inner = _NAME.sub(lambda found: found[0].replace(found[5] or "", ""), path.name)
    file = EvidenceFile(path, hashed=hashed, name=f"{shown}!{inner}", descriptor=descriptor)
    return file, f"unpacked from {shown}, {packed:,} bytes, SHA-256 {digest}"


def _unpacked(path: Path, shown: str) -> tuple[int, int, str]:
    """Descriptor of a private file with the unpacked bytes; how many there were packed, and their SHA-256."""
    hashing, stream = hashlib.sha256(), zlib.decompressobj(wbits=47)  # gzip or zlib, by its header
    packed = unpacked = 0
    with path.open("rb") as raw, tempfile.TemporaryFile() as out:
        room = os.statvfs(out.fileno())
        free = room.f_bavail * room.f_frsize
        try:
            while block := raw.read(STEP):
                hashing.update(block)
                packed += len(block)
                while block:
                    plain = stream.decompress(block, STEP)
                    unpacked += len(plain)
                    if unpacked > free - (1 << 26) or unpacked > MOST_RATIO * packed + STEP:
                        raise UnreadableEvidence(f"{shown} unpacks to more than there is room for: {unpacked:,} bytes")
                    out.write(plain)
                    block = stream.unconsumed_tail
        except zlib.error:
            raise UnreadableEvidence(
                f"{shown} does not unpack: damaged behind byte {unpacked:,} of its content"
            ) from None
        if not stream.eof:
            raise UnreadableEvidence(f"{shown} is cut: it ends behind byte {unpacked:,} of its content")
        if stream.unused_data:
            raise UnreadableEvidence(f"{shown} holds {len(stream.unused_data):,} bytes behind what is packed")
        out.flush()
        return os.dup(out.fileno()), packed, hashing.hexdigest()


def read(files: Sequence[EvidenceFile], *, quick: bool) -> Reading:
    """Full snapshots and increments as one history. Raises UnreadableEvidence where none of them is readable."""
    gaps: list[Gap] = []
    kinds: list[str] = []
    parts: list[tuple[str, tuple[Batch, ...]]] = []
    notes = ["increments keep every value that was ever written, until the backups are deleted"]
    main: tuple[tuple[int, int], EvidenceFile, snapshot.Reading] | None = None
    unexamined: list[Unexamined] = []
    for file in files:
        told = named(file.name)
        if is_increment(bytes(file.map[:64])):
            batch, faults = increment(file, told)
            parts.append((file.name, (batch,)))
            gaps += faults
            kinds.append(INCREMENT)
            continue
        try:
            found = snapshot.read(file, quick=quick)
        except UnreadableEvidence as error:
            gaps.append(Gap(file.name, 0, file.size, str(error)))
            kinds.append("unreadable")
            continue
        parts.append((file.name, found.batches))
        gaps += found.gaps
        unexamined += found.unexamined
        kinds.append(f"full snapshot, {found.kind}")
        order = (told.last if told else found.facts.revision, told.taken if told else 0)
        if main is None or order > main[0]:
            main = order, file, found
    if not parts:
        raise UnreadableEvidence(f"nothing of this backup can be read: {gaps[0].reason}")
    gaps += _missing(files)
    if main is None:
        reason = "objects that did not change within the increments are in the full snapshot before them alone"
        unexamined.append(Unexamined("the full snapshot", reason, decisive=True))
    held = _placed(parts, main[1].name, main[0][0]) if main is not None else _placed(parts, "", 0)
    newest = max((int(each.main.max(initial=0)) for each in held), default=0)
    facts = replace(main[2].facts if main else backend.UNKNOWN, newest_record=newest)
    facts = replace(facts, revision=max(facts.revision, newest))
    return Reading(
        main[1] if main else files[0],
        tuple(kinds),
        held,
        facts,
        main[2].pages if main else PageMap("", 0, b""),
        main[2].trailer if main else 0,
        tuple(gaps),
        tuple(unexamined),
        tuple(notes),
    )


def increment(file: EvidenceFile, told: Named | None) -> tuple[Batch, list[Gap]]:
    """The events of one increment, and gaps where it is not what its hash and its name say."""
    end = max(file.size - HASH, 0)
    digest = hashlib.sha256(memoryview(file.map)[:end]).digest()
    gaps = []
    if digest != bytes(file.map[end:]):
        reason = f"{file.name}: its last {HASH} bytes are not the SHA-256 of the {end:,} before them: damaged, or cut"
        gaps.append(Gap(file.name, end, file.size - end, reason))
        end = file.size
    found = records.scan(file, file.map.find(b"[") + 1, end)
    batch, faults = records.batch(file, found)
    gaps += [*found.gaps, *faults]
    if not found.gaps and found.end < end:
        gaps.append(Gap(file.name, found.end, end - found.end, f"{file.name}: bytes behind the list of events"))
    outside = np.zeros(0, np.int64)
    if told:
        outside = np.flatnonzero((batch.main < told.first) | (batch.main > told.last))
    if told and outside.size:
        reason = f"{file.name}: {outside.size:,} events are not of the revisions {told.first:,} to {told.last:,}"
        gaps.append(Gap(file.name, int(batch.offset[outside[0]]), 0, reason))
    return batch, gaps


def _missing(files: Sequence[EvidenceFile]) -> Iterator[Gap]:
    """Revisions between two increments that no object holds: each begins behind the one before it."""
    told = [(each, file.name) for file in files if (each := named(file.name)) is not None]
    reached = -1
    for each, name in sorted(told, key=lambda pair: (pair[0].last, not pair[0].full)):
        if each.full:
            reached = max(reached, each.last)
            continue
        if reached >= 0 and each.first > reached + 1:
            reason = f"the revisions {reached + 1:,} to {each.first - 1:,} before {name} are in none of the files"
            yield Gap(name, 0, 0, reason)
        reached = max(reached, each.last)


def _placed(parts: Sequence[tuple[str, tuple[Batch, ...]]], main: str, revision: int) -> tuple[Batch, ...]:
    """Latest, history and deleted over all files: the newest revision of each key decides.

    A key that the newest full snapshot does not hold, and that no later event names, was deleted before it.
    """
    every = [(source == main, batch) for source, batches in parts for batch in batches]
    shown = [(own, batch) for own, batch in every if len(batch) and (batch.place <= Place.DELETED).all()]
    known: dict[bytes, int] = {}
    group: list[NDArray[np.int64]] = []
    for _, batch in shown:
        number, heads = batch.data.group(batch.key_at, batch.key_len.astype(np.int64))
        keys = batch.data.slices(batch.key_at[heads], batch.key_len[heads].astype(np.int64))
        of = np.array([known.setdefault(key, len(known)) for key in keys], np.int64)
        group.append(of[number] if number.size else number)
    newest = np.full(len(known), -1, np.int64)
    inside, gone, taken = (np.zeros(len(known), np.bool_) for _ in range(3))
    for number, (own, batch) in zip(group, shown, strict=True):
        np.maximum.at(newest, number, batch.main)
        inside[number] |= own
    for number, (_, batch) in zip(group, shown, strict=True):
        gone[number[(batch.main == newest[number]) & batch.has(State.TOMBSTONE)]] = True
    gone |= ~inside & (newest <= revision) & bool(main)
    # the same revision may stand in several files: that of the full snapshot comes first
    for number, (_, batch) in sorted(zip(group, shown, strict=True), key=lambda each: not each[1][0]):
        last = (batch.main == newest[number]) & ~taken[number]
        batch.place[:] = np.where(gone[number], Place.DELETED, np.where(last, Place.LATEST, Place.HISTORY))
        taken[number[last]] = True
    return tuple(batch for _, batch in every)


def in_folder(folder: Path) -> list[Path]:
    """The objects of such a backup in a folder, in the order of their revisions; empty where there is none."""
    try:
        entries = list(folder.iterdir())
    except OSError:
        return []  # told by whoever reads it as a data directory
    found = [(told, path) for path in entries if (told := named(path.name)) is not None and path.is_file()]
    return [path for _, path in sorted(found, key=lambda pair: (pair[0].last, not pair[0].full, pair[1].name))]


def shown(path: Path) -> str:
    return printable(os.fsencode(path.name))
