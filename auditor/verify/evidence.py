"""Evidence against a report: is it the same, and does each finding lie where its row says?

None of its bytes is quoted: a check names the expected ones, or that others stand there.
"""

import base64
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from auditor.errors import UnreadableEvidence, UsageError
from auditor.evidence.discovery.arguments import names, outermost, rename_members
from auditor.evidence.discovery.exhibits import opened
from auditor.evidence.file import EvidenceFile
from auditor.evidence.notation import Notation, decode
from auditor.kubernetes import prefixes
from auditor.model.vocabulary import HUNTED, Encoding, FindingKind, Provider, State
from auditor.observer import Observer
from auditor.options import Options
from auditor.text import printable, restore
from auditor.verify import report
from auditor.verify.checks import MOST_DIFFERENCES, Check, differs, note, safe, same, unchecked

MAGIC = {Encoding.PROTOBUF.label: prefixes.PROTOBUF, Encoding.JSON.label: b"{", Encoding.CBOR.label: prefixes.CBOR}
CLAIMS = {provider.label: prefixes.ENCRYPTED + prefix for provider, prefix in prefixes.PREFIXES.items()}
_EXTENT = re.compile(r"\d+\+(\d+)")
HITS = frozenset(kind.label for kind in FindingKind if kind & HUNTED)
"""Labels of findings whose offset need not be that of a stored value."""


def check(
    name: str,
    document: dict[str, Any],
    paths: Sequence[str],
    options: Options,
    observer: Observer,
) -> Iterator[Check]:
    """The files of the evidence against the report, and the bytes at each finding's offset.

    Args:
        name: The report's name, for the checks.
        document: The report.
        paths: The evidence.
        options: Where its WAL lies and how containers are unpacked.
        observer: Its methods are called with the progress of hashing.

    Raises:
        UnreadableEvidence: There is none.
        UsageError: The evidence is of another kind than the report's.
    """
    evidence = document.get("evidence")
    if not isinstance(evidence, dict) or not isinstance(evidence.get("sources"), list):
        yield differs(name, "it does not say which evidence it is of")
        return
    containers = [each for each in evidence.get("containers") or [] if isinstance(each, dict)]
    sources = {str(each.get("name")): each for each in evidence["sources"] if isinstance(each, dict)}
    parts = [each for each in document.get("parts") or [] if isinstance(each, dict)]
    options = replace(options, carve=_was_carved(document))
    unread = {str(each.get("name")) for each in parts if each.get("problem")}
    with ExitStack() as stack:
        if len(paths) > 1:
            by_name = yield from _several(paths, containers, options, stack, observer)
        else:
            if len(parts) > 1 and not containers:
                raise UsageError(f"{name} is a report of {len(parts)} evidence items: give them all")
            _same_kind(name, evidence, containers, Path(paths[0]))
            exhibits = stack.enter_context(opened(paths[0], options))
            files = [file for _, opener in exhibits for _, file in stack.enter_context(opener()).files]
            by_name = {file.name: file for file in files}
            if containers:
                by_name = yield from _container(containers, exhibits.containers, by_name, observer)
        if not evidence.get("directory") and len(sources) == len(by_name) == 1:
            reported, name = next(iter(sources)), next(iter(by_name))
            if reported != name:
                yield note(name, f"was called {safe(reported)} in the report")
            by_name = {reported: by_name[name]}
        yield from _files(by_name, sources, unread, observer)
        yield from _rows(report.rows(document), by_name)


def _files(
    files: dict[str, EvidenceFile], sources: dict[str, dict[str, Any]], unread: set[str], observer: Observer
) -> Iterator[Check]:
    """The files of the evidence against those of the report. unread: exhibits that could not be read then."""
    for name in files.keys() - sources.keys():
        if name in unread:
            yield note(name, "could not be read when the report was made: the report holds no hash of it")
            continue
        yield differs(name, "is a file of this evidence, and not in the report")
    for name, source in sources.items():
        if name not in files:
            yield differs(safe(name), "is in the report, and no file of this evidence")
            continue
        yield from _file(files[name], source, observer)


def _same_kind(name: str, evidence: dict[str, Any], containers: Sequence[dict[str, Any]], path: Path) -> None:
    directory = bool(evidence.get("directory"))
    # the files of one that is neither may be given by their folder, as to scan
    if (containers or directory) and path.is_dir() != (directory and not containers):
        raise UsageError(f"{name} is a report of {'a container' if containers else 'a data directory'}: give that")


def _several(
    paths: Sequence[str],
    reported_containers: Sequence[dict[str, Any]],
    options: Options,
    stack: ExitStack,
    observer: Observer,
) -> Generator[Check, None, dict[str, EvidenceFile]]:
    """The files of all exhibits, by their names in a report of several; containers are checked on the way."""
    files: dict[str, EvidenceFile] = {}
    reported = {str(each.get("name")): each for each in reported_containers}
    for path, base in zip(paths, names(paths), strict=True):
        try:
            exhibits = stack.enter_context(opened(path, options))
            members = [stack.enter_context(opener()) for _, opener in exhibits]
        except UnreadableEvidence as error:
            yield note(base, f"cannot be read: {error}")
            continue
        containers = [container.name for container in exhibits.containers]
        for member in members:
            bare = member.directory and not member.containers
            report_name = rename_members(base, outermost(member.name, containers), bare=bare)
            files |= {report_name(file.name): file for _, file in member.files}
        for container in exhibits.containers:
            name = rename_members(base, outermost(members[0].name, containers), bare=False)(container.name)
            if name in reported:
                yield from _file(container, reported[name], observer)
            else:
                yield differs(name, "is a container of this evidence, and not in the report")
    return files


def _was_carved(document: dict[str, Any]) -> bool:
    run = document.get("run")
    options = run.get("options") if isinstance(run, dict) else None
    return isinstance(options, dict) and options.get("carve") is True


def _container(
    described: Sequence[dict[str, Any]],
    containers: Sequence[EvidenceFile],
    files: dict[str, EvidenceFile],
    observer: Observer,
) -> Generator[Check, None, dict[str, EvidenceFile]]:
    """The containers against the report; the files in them by their names in the report."""
    container = described[0]
    reported = str(container.get("name"))
    if not containers:
        yield unchecked(safe(reported), "was not given: only what was unpacked from it is looked at")
        return files
    name = containers[0].name
    yield from _file(containers[0], container, observer)
    further = {str(each.get("name")): each for each in described[1:]}
    for file in containers[1:]:  # an image in segments, and what is packed twice
        if file.name in further:
            yield from _file(file, further[file.name], observer)
    if reported == name:
        return files
    yield note(name, f"was called {safe(reported)} in the report")
    return {reported + each.removeprefix(name): file for each, file in files.items()}


def _file(file: EvidenceFile, source: dict[str, Any], observer: Observer) -> Iterator[Check]:
    size = source.get("size")
    if size == file.size:
        yield same(file.name, f"{file.size:,} bytes")
    else:
        yield differs(file.name, f"it has {file.size:,} bytes, the report says {_number(size)}")
    expected = source.get("sha256")
    if not expected:
        yield unchecked(file.name, "the report holds no SHA-256 of it: it was made with --quick")
        return
    file.hashing.wait(observer)
    digest, _ = file.hashing.result()
    if digest == expected:
        yield same(file.name, f"its SHA-256 is {digest}")
    else:
        yield differs(file.name, f"its SHA-256 is {digest}, the report says {safe(expected)}")


def _rows(rows: list[dict[str, Any]], files: dict[str, EvidenceFile]) -> Iterator[Check]:
    """The beginning of the bytes at each finding's offset against its row."""
    matches = 0
    differences: list[tuple[str, str]] = []
    for number, row in enumerate(rows, 1):
        file, at, size = files.get(str(row["source"])), row["offset"], row["size"]
        if file is None or not isinstance(at, int) or not isinstance(size, int):
            continue
        where = f"finding {number:,} (id {safe(row['id'])}) at offset {at:,}"
        if first := _EXTENT.match(str(row.get("extents") or "")):
            size = int(first[1])  # the others may lie before it
        if at < 0 or size < 0 or at + size > file.size:
            differences.append((file.name, f"{where}: its {size:,} bytes reach past the end of the file"))
        elif (expected := beginning(row)) is not None and not is_written(file.map[at : at + size], expected, row):
            differences.append((file.name, f"{where}: expected {printable(expected)}, found other bytes"))
        else:
            matches += 1
    yield from (differs(name, text) for name, text in differences[:MOST_DIFFERENCES])
    if (more := len(differences) - MOST_DIFFERENCES) > 0:
        yield differs("the evidence", f"{more:,} more findings do not lie where the report says")
    if matches and not differences:
        yield same("the evidence", f"{matches:,} findings lie where the report says")


def beginning(row: dict[str, Any]) -> bytes | None:
    """The first bytes of a row's value; None where the row does not tell them."""
    if row["finding"] in HITS:
        return None
    provider, head_lost = str(row["provider"]), (State.HEAD_LOST.labels in str(row["state"]).split(";"))
    if provider == Provider.IDENTITY.label:
        first = None if head_lost else MAGIC.get(str(row["encoding"]))
    elif provider in CLAIMS:
        name = restore(str(row["key_name"]))
        first = CLAIMS[provider] + (name + b":" if name else b"")
    else:
        first = None
    if _is_encoded(row) and head_lost:
        return None  # what lost its head stands at any of three alignments, or in other writing
    return first


def _is_encoded(row: dict[str, Any]) -> bool:
    return State.ENCODED.labels in str(row["state"]).split(";")


def is_written(raw: bytes, beginning: bytes, row: dict[str, Any]) -> bool:
    """Whether the bytes of a row begin so; those of an encoded one in base64, in hex or with escapes."""
    if not _is_encoded(row):
        return raw.startswith(beginning)
    coded = base64.b64encode(beginning[: len(beginning) // 3 * 3])
    return (
        raw.startswith((coded, beginning))
        or raw[: 2 * len(beginning)].lower() == beginning.hex().encode()
        or any(_is_escaped(raw[: 8 * len(beginning)], beginning, notation) for notation in Notation if notation.escapes)
    )


def _is_escaped(raw: bytes, beginning: bytes, notation: Notation) -> bool:
    with suppress(ValueError):
        return decode(raw, notation).startswith(beginning)
    return False


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "something else"
