"""The files of a container as exhibits: data directories, databases with what lies beside them, single files."""

from collections.abc import Sequence

from auditor.evidence.containers.member_name import MemberName
from auditor.evidence.discovery import archived_directory, dqlite_directory
from auditor.evidence.discovery.archived_directory import Place
from auditor.evidence.discovery.extraction import ExtractedMember, Extraction
from auditor.evidence.dqlite import names as dqlite_names
from auditor.evidence.exhibit import SQLITE_SIBLINGS, Exhibit, Role
from auditor.text import shown


def grouped(extraction: Extraction) -> list[tuple[str, list[ExtractedMember]]]:
    """The members of each exhibit, by its name: data directories, databases with their WAL, single files."""
    exhibits: list[tuple[str, list[ExtractedMember]]] = []
    single = {member.name: member for member in extraction.members}
    for name, places in _directories(extraction).items():
        if archived_directory.is_one(places):
            exhibits.append((str(name), list(places.values())))
            for member in places.values():
                single.pop(member.name, None)
    for name, members in _of_dqlite(list(single.values())).items():
        exhibits.append((str(name), members))
        for member in members:
            single.pop(member.name)
    siblings_of = {
        name: [own for end in SQLITE_SIBLINGS if (own := name.with_ending(end)) in single] for name in single
    }
    siblings = {own for names in siblings_of.values() for own in names}
    for name, member in single.items():
        if name not in siblings:
            exhibits.append((str(name), [member, *(single[own] for own in siblings_of[name])]))
    return sorted(exhibits, key=lambda exhibit: exhibit[0])


def _directories(extraction: Extraction) -> dict[MemberName, dict[Place, ExtractedMember]]:
    """The members that may make up data directories, by the directory's name and their place in it.

    A place that an archive holds twice belongs to another directory.
    """
    directories: dict[MemberName, dict[Place, ExtractedMember]] = {}
    for member in extraction.members:
        archive, path = member.origin.archive, member.origin.path
        if (place := archived_directory.match(path)) is None:
            continue
        top, number = shown(place.top.rstrip("/")), 1
        name = archive.inside(top) if top else archive
        while place in directories.setdefault(name, {}):
            number += 1
            name = archive.inside(f"{top}#{number}")
        directories[name][place] = member
    return directories


def _of_dqlite(members: Sequence[ExtractedMember]) -> dict[MemberName, list[ExtractedMember]]:
    """The members that make up data directories of dqlite, by the directory's name.

    A place that an archive holds twice belongs to another directory.
    """
    directories: dict[MemberName, dict[str, ExtractedMember]] = {}
    for member in members:
        archive, path = member.origin.archive, member.origin.path or str(member.name).split("!", 1)[0]
        if (place := dqlite_directory.place(path)) is None:
            continue
        top, number = shown(place[0]), 1
        name = archive.inside(top) if top else archive
        while place[1] in directories.setdefault(name, {}):
            number += 1
            name = archive.inside(f"{top}#{number}")
        directories[name][place[1]] = member
    return {
        name: list(found.values())
        for name, found in directories.items()
        if any(dqlite_names.of(path) is not None for path in found)
    }


def exhibit(name: str, members: list[ExtractedMember]) -> Exhibit:
    """A data directory, a database with its WAL, or a single file; it takes the files."""
    if any(dqlite_names.of_evidence(str(member.name)) is not None for member in members):
        return dqlite_directory.archived(name, members)
    names = [str(member.name) for member in members]
    places = [archived_directory.match(member.origin.path) for member in members]
    if places[0] is not None and (len(members) > 1 or name != names[0]):
        files = [
            (place, own, member.file)
            for place, own, member in zip(places, names, members, strict=True)
            if place is not None
        ]
        return archived_directory.evidence(name, files)
    if len(members) > 1:
        database, *siblings = zip(names, members, strict=True)
        return _with_siblings(name, database[1], siblings)
    if members[0].copy is not None:
        return Exhibit(name, [(Role.SQL_DUMP, members[0].file.open(name))], copy=members[0].copy)
    return Exhibit.of_file(name, members[0].file.open(name))


def _with_siblings(name: str, database: ExtractedMember, siblings: Sequence[tuple[str, ExtractedMember]]) -> Exhibit:
    """A database with the files that have the names of SQLite's; an empty one holds nothing and is a note."""
    files, notes = [], []
    for own, member in siblings:
        role = next(role for ending, role in SQLITE_SIBLINGS.items() if own.endswith(ending))
        if member.file.size:
            files.append((role, member.file.open(own)))
        else:
            member.file.close()
            notes.append(f"{own} is empty")
    exhibit = Exhibit.with_siblings(name, database.file.open(name), files)
    exhibit.has_wal |= any(note.endswith("-wal is empty") for note in notes)
    exhibit.notes += notes
    return exhibit
