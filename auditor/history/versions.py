"""From the values of one key to its versions in order: which are equal, and what changed from one to the next."""

from collections.abc import Sequence
from dataclasses import replace

from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.history.model import Change, Field, Version
from auditor.judgement import selection
from auditor.judgement.selection import Selection
from auditor.kubernetes import fields, prefixes
from auditor.model.vocabulary import Encoding, Opened, Place, Provider, State
from auditor.text import moment, printable

_SAME = {0: "", selection.SAME: "yes", selection.DIFFERENT: "no", selection.UNKNOWN: "unknown"}


class _Numbers:
    """Equal bytes share a number, in the order in which they are met. The bytes stay here."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}

    def __call__(self, raw: bytes) -> int:
        return self._known.setdefault(raw, len(self._known) + 1)


def build(selections: Sequence[Selection], tombstones: Sequence[RecordBatch]) -> tuple[Version, ...]:
    """Every version, by revision and place; those of unknown revision last, by raft index."""
    values = [(_value(each, row), each.batch.value(row), each, row) for each in selections for row in range(len(each))]
    values.sort(key=lambda one: _order(one[0]))
    stored, content, field = _Numbers(), _Numbers(), _Numbers()
    revisions: dict[int, int] = {}
    numbered = []
    for version, raw, each, row in values:
        number = stored(raw)
        contents = each.decode(row)
        known = content(contents.content) if contents is not None and contents.content else 0
        named = fields.named(each.plaintexts.get(row, raw), Encoding(int(each.prefixes.encoding[row])))
        parts = None
        if named is not None:
            parts = tuple(Field(name, len(value), field(value), value) for name, value in sorted(named.items()))
        if version.mod_revision >= 0:
            revisions.setdefault(number, version.mod_revision)
        numbered.append(replace(version, stored=number, content=known, fields=parts))
    every = [
        replace(version, copy_of=revisions.get(version.stored, UNKNOWN) if version.mod_revision < 0 else UNKNOWN)
        for version in numbered
    ]
    every += [_tombstone(batch, row) for batch in tombstones for row in range(len(batch))]
    return _changes(sorted(every, key=_order))


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


def _value(each: Selection, row: int) -> Version:
    batch, stored = each.batch, each.prefixes
    contents = each.decode(row)
    at, length = prefixes.kek_ids(batch, stored)
    provider, name = each.key_labels[each.key_label[row]].pair
    details = [each.reasons.get(row, ""), contents.problem if contents is not None else ""]
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
        opened=Opened(int(each.opened[row])),
        content=0,
        stored=0,
        same_as_latest=_SAME[int(each.same_as_latest[row])],
        type=printable(contents.type) if contents is not None else "",
        created=moment(contents.created) if contents is not None else "",
        source=batch.source,
        offset=int(batch.offset[row]) if batch.located else UNKNOWN,
        size=int(batch.size[row]),
        page=int(batch.page[row]),
        detail="; ".join(dict.fromkeys(filter(None, details))),
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


def _changes(every: list[Version]) -> tuple[Version, ...]:
    """The same with what changed: of each revision once, against the last one before it that was decoded."""
    before: Version | None = None
    changed = []
    for version in every:
        if version.tombstone and version.mod_revision >= 0:
            before = None  # what is written after a deletion is a new object
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
