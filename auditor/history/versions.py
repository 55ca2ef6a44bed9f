"""From the values of one key to its versions in order: equal ones, and the changes from one to the next."""

from collections.abc import Sequence
from dataclasses import replace

from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.history.model import Change, Field, Version
from auditor.judgement.selection import Selection
from auditor.kubernetes import fields, prefixes
from auditor.model.vocabulary import Encoding, Opened, Place, Provider, SameAsLatest, State
from auditor.text import moment, printable, unmarked


class _Numbers:
    """Numbers of byte strings: equal ones share a number, in the order of their first occurrence."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def __call__(self, raw: bytes) -> int:
        return self._numbers.setdefault(raw, len(self._numbers) + 1)


def build(selections: Sequence[Selection], tombstones: Sequence[RecordBatch]) -> tuple[Version, ...]:
    """Every version, by revision and place; those of unknown revision last, by raft index."""
    values = [
        (_value(source, row), source.batch.value(row), source, row)
        for source in selections
        for row in range(len(source))
    ]
    values.sort(key=lambda value: _order(value[0]))
    stored_numbers, content_numbers, field_numbers = _Numbers(), _Numbers(), _Numbers()
    revisions: dict[int, int] = {}
    numbered = []
    for version, raw, source, row in values:
        number = stored_numbers(raw)
        contents = source.decode(row)
        content_number = content_numbers(contents.content) if contents is not None and contents.content else 0
        content_fields = fields.named(source.plaintexts.get(row, raw), Encoding(int(source.prefixes.encoding[row])))
        numbered_fields = None
        if content_fields is not None:
            numbered_fields = tuple(
                Field(name, len(value), field_numbers(value), value) for name, value in sorted(content_fields.items())
            )
        if version.mod_revision >= 0:
            revisions.setdefault(number, version.mod_revision)
        numbered.append(replace(version, stored=number, content=content_number, fields=numbered_fields))
    versions = [
        replace(version, copy_of=revisions.get(version.stored, UNKNOWN) if version.mod_revision < 0 else UNKNOWN)
        for version in numbered
    ]
    versions += [_tombstone(batch, row) for batch in tombstones for row in range(len(batch))]
    return _changes(sorted(versions, key=_order))


def _order(version: Version) -> tuple[bool, int, int, Place, int, str, int]:
    unknown = version.mod_revision < 0
    return (
        unknown,
        version.mod_revision,
        version.sub_revision,
        version.place,
        version.ordinal,
        version.source,
        version.offset,
    )


def _value(source: Selection, row: int) -> Version:
    batch, stored = source.batch, source.prefixes
    contents = source.decode(row)
    at, length = prefixes.kek_ids(batch, stored)
    provider, name = source.key_labels[source.key_label[row]].pair
    details = [source.reasons.get(row, ""), contents.problem if contents is not None else ""]
    if batch.key_at[row] < 0:
        details.append("its etcd key is lost; names are what the object says")
    return Version(
        place=Place(int(batch.place[row])),
        state=State(int(batch.state[row])).labels,
        tombstone=False,
        mod_revision=int(batch.mod_revision[row]),
        sub_revision=int(batch.sub_revision[row]),
        create_revision=int(batch.create_revision[row]),
        version=int(batch.version[row]),
        ordinal=int(batch.ordinal[row]),
        provider=provider,
        key_name=name,
        kek_id=printable(batch.data.slice(int(at[row]), int(length[row]))) if length[row] > 0 else "",
        encoding=Encoding(int(stored.encoding[row])).label,
        opened=Opened(int(source.opened[row])),
        content=0,
        stored=0,
        same_as_latest=SameAsLatest(int(source.same_as_latest[row])).label,
        type=printable(contents.type) if contents is not None else "",
        created=moment(contents.created) if contents is not None else "",
        source=batch.source,
        offset=int(batch.offset[row]) if batch.located else UNKNOWN,
        size=int(batch.size[row]),
        page=int(batch.page[row]),
        detail=unmarked("; ".join(dict.fromkeys(filter(None, details)))),
        fields=None,
        change=None,
        copy_of=UNKNOWN,
    )


def _tombstone(batch: RecordBatch, row: int) -> Version:
    return Version(
        place=Place(int(batch.place[row])),
        state=State(int(batch.state[row])).labels,
        tombstone=True,
        mod_revision=int(batch.mod_revision[row]),
        sub_revision=int(batch.sub_revision[row]),
        create_revision=int(batch.create_revision[row]),
        version=int(batch.version[row]),
        ordinal=int(batch.ordinal[row]),
        provider=Provider.UNKNOWN,
        key_name="",
        kek_id="",
        encoding="",
        opened=Opened.NOT_TRIED,
        content=0,
        stored=0,
        same_as_latest="",
        type="",
        created="",
        source=batch.source,
        offset=int(batch.key_at[row]) if batch.mapped else UNKNOWN,
        size=0,
        page=int(batch.page[row]),
        detail="the object was deleted",
        fields=None,
        change=None,
        copy_of=UNKNOWN,
    )


def _changes(versions: list[Version]) -> tuple[Version, ...]:
    """The versions with their changes: one a revision, against the last decoded one before it."""
    before: Version | None = None
    changed = []
    for version in versions:
        if version.tombstone and version.mod_revision >= 0:
            before = None  # a write after a deletion creates a new object
        elif version.fields is not None and version.mod_revision >= 0:
            if before is not None and version.mod_revision > before.mod_revision:
                version = replace(version, change=_change(before, version))
            if before is None or version.mod_revision > before.mod_revision:
                before = version
        changed.append(version)
    return tuple(changed)


def _change(before: Version, after: Version) -> Change:
    old = {each.name: each.number for each in before.fields or ()}
    new = {each.name: each.number for each in after.fields or ()}
    return Change(
        since=before.mod_revision,
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        changed=tuple(name for name in new if name in old and old[name] != new[name]),
        provider=f"{before.label} -> {after.label}" if before.label != after.label else "",
    )
