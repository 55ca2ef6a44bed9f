"""An audit held against the truth: how many of what was to be reported is, and how many of what is reported is so."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auditor import Audit
from auditor.evidence.kine.rows import REUSED
from tests.validation.history import (
    BLOCK,
    BLOCK_SIZE,
    CIPHERTEXT,
    HEAD,
    IDENTITY,
    Truth,
    Write,
    contents,
    same_as_latest,
)

LEFTOVERS = ("history", "deleted", "previous-root", "freed", "slack", "wal", "old-value")
LIVE = ("latest", "history", "deleted")


@dataclass
class Counts:
    """Of each measure how often it was put to the test, and how often it did not hold."""

    tried: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    misses: list[str] = field(default_factory=list)
    """The first misses, in words without a byte of a value."""

    def add(self, measure: str, *, holds: bool, text: str = "") -> None:
        self.tried[measure] += 1
        if not holds:
            self.missed[measure] += 1
            if len(self.misses) < 40:
                self.misses.append(f"{measure}: {text}")


@dataclass(frozen=True)
class Row:
    """A row of the inventory, and where its bytes lie: file, start and end of each part."""

    cells: Mapping[str, Any]
    parts: tuple[tuple[str, int, int], ...]

    @property
    def whole(self) -> bool:
        """Whether nothing in the row says that the value may not be whole: neither its state nor a remark."""
        if any(remark in str(self.cells["detail"]) for remark in (REUSED, "no protobuf envelope")):
            return False
        return not {"head-lost", "tail-lost"} & set(str(self.cells["state"]).split(";"))

    @property
    def readable(self) -> bool:
        return bool(self.cells["provider"] == "identity")

    @property
    def revision(self) -> int | None:
        cell = self.cells["mod_revision"]
        return cell if isinstance(cell, int) else None

    @property
    def text(self) -> str:
        return (
            f"{self.cells['place']} row at {self.cells['offset']} of {self.cells['source']}, {self.cells['size']} bytes"
        )


def rows_of(audit: Audit) -> list[Row]:
    """The rows of Secrets, with their parts."""
    columns = {str(name): values for name, values in audit.inventory.to_dict("list").items()}
    rows = []
    for cells in (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)):
        if not isinstance(cells["offset"], int):
            continue
        source, start, size = str(cells["source"]), int(cells["offset"]), int(cells["size"])
        parts = [(source, start, start + size)]
        if cells["extents"]:
            parts = []
            for part in str(cells["extents"]).split(";"):
                place, _, length = part.rpartition("+")
                name, _, at = place.rpartition(":")
                parts.append((name or source, int(at), int(at) + int(length)))
        rows.append(Row(cells, tuple(parts)))
    return rows


class Measure:
    """One audit of one item of evidence, against one truth."""

    def __init__(
        self,
        audit: Audit,
        files: Mapping[str, Path],
        truth: Truth,
        current: Mapping[bytes, Write],
        counts: Counts,
    ) -> None:
        """A measure.

        Args:
            audit: of the evidence.
            files: of the evidence, by the name that rows give.
            truth: of the store.
            current: what is current in the evidence, by the truth.
            counts: to add to.
        """
        self.audit, self.truth, self.current = audit, truth, current
        self.rows = rows_of(audit)
        self.raw = {name: path.read_bytes() for name, path in files.items()}
        self.by_stored: dict[bytes, list[Write]] = {}
        for write in truth.writes:
            if write.stored:
                self.by_stored.setdefault(write.stored, []).append(write)
        self._by_content = truth.by_content()
        self._heads = {write.stored[:HEAD] for write in truth.writes if write.stored}
        self.counts = counts

    def content(self, row: Row) -> bytes:
        return b"".join(self.raw[name][start:end] for name, start, end in row.parts)

    def live(self, kind: str, visible: Mapping[tuple[bytes, int], tuple[str, Write]], sources: Sequence[str]) -> None:
        """Every put that the store shows is a row with its place, provider, key's name and bytes.

        Args:
            kind: of the evidence.
            visible: what the store shows, by key and revision.
            sources: names of the store's files.
        """
        found: dict[tuple[str, int | None], list[Row]] = {}
        for row in self.rows:
            if row.cells["place"] in LIVE and row.cells["source"] in sources and row.whole:
                found.setdefault((row.cells["key"], row.revision), []).append(row)
        for (key, revision), (place, write) in visible.items():
            rows = found.pop((key.decode(), revision), [])
            where = f"{key.decode()} at revision {revision}"
            self.counts.add(f"{kind}|recall|{place}", holds=bool(rows), text=where)
            if not rows:
                continue
            row = next((row for row in rows if row.cells["place"] == place), rows[0])
            cells = row.cells
            named = (write.form.provider, write.form.key_name) == (cells["provider"], cells["key_name"])
            opened = row.readable or cells["decrypted"] == "yes"
            self.counts.add(f"{kind}|place|{place}", holds=cells["place"] == place, text=f"{where}: {row.text}")
            self.counts.add(f"{kind}|provider and key|{place}", holds=named, text=where)
            self.counts.add(f"{kind}|bytes|{place}", holds=self.content(row) == write.stored, text=where)
            self.counts.add(f"{kind}|decrypted|{place}", holds=opened, text=f"{where}: {cells['decrypted']}")
        self.counts.tried[f"{kind}|no other row is shown"] += len(visible)
        if kind not in {"snapshot", "data directory"}:  # of kine's an older row's previous value is another row's value
            return
        for (name, row_revision), rows in found.items():
            self.counts.add(
                f"{kind}|no other row is shown", holds=False, text=f"{name} at revision {row_revision}: {rows[0].text}"
            )

    def surviving(self, kind: str, place_of_miss: Mapping[str, "PlaceOf"]) -> None:
        """Every block of a readable value and every ciphertext's beginning that stands in the files lies in a row."""
        spans = {name: _Spans(self.rows, name) for name in self.raw}
        for name, raw in self.raw.items():
            for start, end, content in pieces(raw):
                row = spans[name].at(start)
                last = spans[name].at(end - 1)
                covered = row is not None and last is not None
                place = str(row.cells["place"]) if row else place_of_miss[name](start)
                size = "under 1 KB" if end - start < 1024 else "1 to 4 KB" if end - start < 4096 else "over 4 KB"
                text = f"{end - start} bytes of content {content} at {start} of {name}"
                shape = self._shape(raw, start, content)
                self.counts.add(f"{kind}|readable parts|{place}|{shape}|{size}", holds=covered, text=text)
            for match in CIPHERTEXT.finditer(raw):
                head = raw[match.start() : match.start() + HEAD]
                row = spans[name].at(match.start())
                place = str(row.cells["place"]) if row else place_of_miss[name](match.start())
                if head in self._heads:  # else cut by the end of a page, or a prefix whose rest was written over
                    self.counts.add(
                        f"{kind}|ciphertexts|{place}", holds=row is not None, text=f"at {match.start()} of {name}"
                    )

    def _shape(self, raw: bytes, start: int, content: str) -> str:
        """What is left around a part of a readable value: all of it, its beginning, or neither."""
        shape = "beginning lost, or in another page"
        for write in self._by_content.get(content, ()):
            at = write.stored.find(raw[start : start + BLOCK_SIZE])
            if write.form != IDENTITY or at < 0 or at > start:
                continue
            if raw.startswith(write.stored, start - at):
                return "whole"
            if raw.startswith(write.stored[:16], start - at):
                shape = "beginning"
        return shape

    def remains(self, kind: str, visible: Iterable[tuple[bytes, int]], revision: int) -> None:
        """How many readable values that the store shows no more have left bytes in its files, by how long ago that was.

        No error of the auditor's: what it is up against.
        """
        shown, left = set(visible), {content for raw in self.raw.values() for _, _, content in pieces(raw)}
        ends: dict[str, int] = {}
        for write, behind in self._followed():
            if write.form == IDENTITY:
                gone = (write.key, write.revision) not in shown
                for each in contents(b"".join(write.data.values())):
                    ends[each] = max(ends.get(each, 0), behind if gone else revision + 1)
        for name, end in ends.items():
            age = revision - end
            if age < 0:
                continue
            bucket = "under 20" if age < 20 else "20 to 99" if age < 100 else "100 and more"
            self.counts.tried[f"{kind}|superseded values|{bucket} revisions"] += 1
            self.counts.tried[f"{kind}|superseded values with bytes left|{bucket} revisions"] += name in left

    def _followed(self) -> Iterable[tuple[Write, int]]:
        """Every put with the revision of the next write of its key; one past all for none."""
        following: dict[bytes, int] = {}
        for write in reversed(self.truth.writes):
            if write.stored:
                yield write, following.get(write.key, 1 << 62)
            following[write.key] = write.revision

    def precision(self, kind: str) -> None:
        """What rows say: whole values are values that were written, under their key and at their revision."""
        for row in self.rows:
            place, content = row.cells["place"], self.content(row)
            if row.readable and row.whole:
                self.counts.add(f"{kind}|false whole value|{place}", holds=content in self.by_stored, text=row.text)
            writes = self.by_stored.get(content, ())
            if not writes:  # part of a value
                writes = [write for each in contents(content) for write in self._by_content.get(each, ())]
            if not writes:
                continue
            if row.cells["key"] not in ("", "unknown"):
                keys = {write.key.decode() for write in writes}
                self.counts.add(f"{kind}|key|{place}", holds=row.cells["key"] in keys, text=row.text)
            if row.revision is not None and row.whole:
                revisions = {write.revision for write in writes}
                self.counts.add(f"{kind}|revision|{place}", holds=row.revision in revisions, text=row.text)
            if place in LEFTOVERS and row.whole and content in self.by_stored:
                self._same(kind, row, writes)

    def _same(self, kind: str, row: Row, writes: Sequence[Write]) -> None:
        stated = str(row.cells["same_as_latest"])
        if stated == "unknown" or (not row.readable and row.cells["decrypted"] != "yes"):
            self.counts.tried[f"{kind}|same_as_latest is unknown"] += 1
            return
        right = {same_as_latest(write, self.current) for write in writes}
        holds = stated in right
        text = f"{row.text}: {stated}, not {' or '.join(sorted(right))}"
        self.counts.add(f"{kind}|same_as_latest|{row.cells['place']}", holds=holds, text=text)

    def keys(self, kind: str, visible: Mapping[tuple[bytes, int], tuple[str, Write]]) -> None:
        """The number of latest values under each key is the truth's."""
        right = Counter(
            (write.form.provider, write.form.key_name)
            for place, write in visible.values()
            if place == "latest" and write.form.key_name
        )
        stated: Counter[tuple[str, str]] = Counter()
        for use in self.audit.keys:
            for place, values in use.places:
                if place.label == "latest":
                    stated[use.provider.label, use.key_name] += values
        for name in sorted(set(right) | {name for name, count in stated.items() if count and name[1]}):
            text = f"{name[0]}/{name[1]}: {stated[name]} of {right[name]}"
            self.counts.add(f"{kind}|key counts", holds=stated[name] == right[name], text=text)


class HexMeasure(Measure):
    """The same of a dump that writes every value in hex."""

    def content(self, row: Row) -> bytes:
        return bytes.fromhex(super().content(row).decode())


class _Spans:
    """The parts of rows in one file, by offset."""

    def __init__(self, rows: Iterable[Row], name: str) -> None:
        spans = [(start, end, row) for row in rows for source, start, end in row.parts if source == name]
        self._spans = sorted(spans, key=lambda each: each[:2])
        self._starts = [start for start, _, _ in self._spans]

    def at(self, offset: int) -> Row | None:
        number = bisect_right(self._starts, offset) - 1
        if number < 0:
            return None
        start, end, row = self._spans[number]
        return row if start <= offset < end else None


class PlaceOf:
    """The place of a byte that no row covers: in a page that the root reaches slack, else freed."""

    def __init__(self, live: frozenset[int], page_size: int, otherwise: str = "freed") -> None:
        self._live, self._size, self._otherwise = live, page_size, otherwise

    def __call__(self, offset: int) -> str:
        return "slack" if offset // self._size in self._live else self._otherwise


def pieces(raw: bytes) -> Iterable[tuple[int, int, str]]:
    """Start, end and content of every run of consecutive blocks."""
    begin = end = number = -1
    content = ""
    for match in BLOCK.finditer(raw):
        this, block = match.group(1).decode(), int(match.group(2), 16)
        if (this, block, match.start()) != (content, number + 1, end):
            if begin >= 0:
                yield begin, end, content
            begin = match.start()
        content, number, end = this, block, match.end()
    if begin >= 0:
        yield begin, end, content
