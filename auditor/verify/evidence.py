"""Evidence against a report: is it the same, and does each finding lie where its row says?

Nothing of its bytes is quoted: at an offset is what the row says, or other bytes.
"""

import base64
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from auditor.errors import UnreadableEvidence, UsageError
from auditor.evidence.discovery.arguments import names, outermost, rename_members
from auditor.evidence.discovery.exhibits import opened
from auditor.evidence.file import EvidenceFile
from auditor.kubernetes import prefixes
from auditor.model.vocabulary import Encoding, FindingKind, Provider, State
from auditor.observer import Observer
from auditor.options import Options
from auditor.text import printable, restore
from auditor.verify import report
from auditor.verify.checks import NAMED, Check, differs, note, safe, same, unchecked

MAGIC = {Encoding.PROTOBUF.label: prefixes.PROTOBUF, Encoding.JSON.label: b"{", Encoding.CBOR.label: prefixes.CBOR}
CLAIMS = {provider.label: prefixes.ENCRYPTED + prefix for provider, prefix in prefixes.PREFIXES.items()}
_EXTENT = re.compile(r"\d+\+(\d+)")
ELSEWHERE = frozenset({FindingKind.COPIED_VALUE.label, FindingKind.KEY_PRESENT.label})
"""Findings whose offset need not be that of a stored value."""


def check(
    name: str,
    document: dict[str, Any],
    paths: Sequence[str],
    options: Options,
    observer: Observer,
) -> Iterator[Check]:
    """Raises UnreadableEvidence where there is none, UsageError where it is of another kind than the report's."""
    evidence = document.get("evidence")
    if not isinstance(evidence, dict) or not isinstance(evidence.get("sources"), list):
        yield differs(name, "it does not say which evidence it is of")
        return
    packed = [each for each in evidence.get("containers") or [] if isinstance(each, dict)]
    sources = {str(each.get("name")): each for each in evidence["sources"] if isinstance(each, dict)}
    parts = [each for each in document.get("parts") or [] if isinstance(each, dict)]
    unread = {str(each.get("name")) for each in parts if each.get("problem")}
    with ExitStack() as stack:
        if len(paths) > 1:
            by_name = yield from _several(paths, packed, options, stack, observer)
        else:
            _same_kind(name, evidence, packed, Path(paths[0]))
            pieces = stack.enter_context(opened(paths[0], options))
            files = [file for _, opener in pieces for _, file in stack.enter_context(opener()).files]
            by_name = {file.name: file for file in files}
            if packed:
                by_name = yield from _container(packed[0], pieces.containers, by_name, observer)
        if not evidence.get("directory") and len(sources) == len(by_name) == 1:
            reported, name = next(iter(sources)), next(iter(by_name))
            if reported != name:
                yield note(name, f"was called {safe(reported)} in the report")
            by_name = {reported: by_name[name]}
        for each in by_name.keys() - sources.keys():
            if each in unread:
                yield note(each, "could not be read when the report was made: the report holds no hash of it")
                continue
            yield differs(each, "is a file of this evidence, and not in the report")
        for each, source in sources.items():
            if each not in by_name:
                yield differs(safe(each), "is in the report, and no file of this evidence")
                continue
            yield from _file(by_name[each], source, observer)
        yield from _rows(report.rows(document), by_name)


def _same_kind(name: str, evidence: dict[str, Any], packed: Sequence[dict[str, Any]], path: Path) -> None:
    if (bool(evidence.get("directory")) and not packed) != path.is_dir():
        kind = "a container" if packed else "a data directory" if evidence.get("directory") else "one file"
        raise UsageError(f"{name} is a report of {kind}: give that")


def _several(
    paths: Sequence[str],
    packed: Sequence[dict[str, Any]],
    options: Options,
    stack: ExitStack,
    observer: Observer,
) -> Generator[Check, None, dict[str, EvidenceFile]]:
    """The files of all pieces, by the names that a report of several gives them; containers are checked on the way."""
    files: dict[str, EvidenceFile] = {}
    reported = {str(each.get("name")): each for each in packed}
    for path, base in zip(paths, names(paths), strict=True):
        try:
            pieces = stack.enter_context(opened(path, options))
            every = [stack.enter_context(opener()) for _, opener in pieces]
        except UnreadableEvidence as error:
            yield note(base, f"cannot be read: {error}")
            continue
        packed_in = [container.name for container in pieces.containers]
        for each in every:
            renamed = rename_members(base, outermost(each.name, packed_in), bare=each.directory and not each.containers)
            files |= {renamed(file.name): file for _, file in each.files}
        for container in pieces.containers:
            name = rename_members(base, outermost(every[0].name, packed_in), bare=False)(container.name)
            if name in reported:
                yield from _file(container, reported[name], observer)
            else:
                yield differs(name, "is a container of this evidence, and not in the report")
    return files


def _container(
    container: dict[str, Any], containers: Sequence[EvidenceFile], files: dict[str, EvidenceFile], observer: Observer
) -> Generator[Check, None, dict[str, EvidenceFile]]:
    """The container against the report; the files in it by the names that they have in the report."""
    reported = str(container.get("name"))
    if not containers:
        yield unchecked(safe(reported), "was not given: only what was unpacked from it is looked at")
        return files
    name = containers[0].name
    yield from _file(containers[0], container, observer)
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
    """Whether the bytes at each finding's offset begin as its row says."""
    held = 0
    wrong: list[tuple[str, str]] = []
    for number, row in enumerate(rows, 1):
        file, at, size = files.get(str(row["source"])), row["offset"], row["size"]
        if file is None or not isinstance(at, int) or not isinstance(size, int):
            continue
        where = f"finding {number:,} (id {safe(row['id'])}) at offset {at:,}"
        if first := _EXTENT.match(str(row.get("extents") or "")):
            size = int(first[1])  # the others may lie before it
        if at < 0 or size < 0 or at + size > file.size:
            wrong.append((file.name, f"{where}: its {size:,} bytes reach past the end of the file"))
        elif (expected := _beginning(row)) is not None and file.map[at : at + len(expected)] != expected:
            wrong.append((file.name, f"{where}: expected {printable(expected)}, found other bytes"))
        else:
            held += 1
    yield from (differs(name, said) for name, said in wrong[:NAMED])
    if (more := len(wrong) - NAMED) > 0:
        yield differs("the evidence", f"{more:,} more findings do not lie where the report says")
    if held and not wrong:
        yield same("the evidence", f"{held:,} findings lie where the report says")


def _beginning(row: dict[str, Any]) -> bytes | None:
    """The bytes that a row's value begins with; None where the row does not say."""
    if row["finding"] in ELSEWHERE:
        return None
    provider, lost = str(row["provider"]), (State.HEAD_LOST.labels in str(row["state"]).split(";"))
    if provider == Provider.IDENTITY.label:
        beginning = None if lost else MAGIC.get(str(row["encoding"]))
    elif provider in CLAIMS:
        name = restore(str(row["key_name"]))
        beginning = CLAIMS[provider] + (name + b":" if name else b"")
    else:
        beginning = None
    if beginning is not None and State.ENCODED.labels in str(row["state"]).split(";"):
        beginning = base64.b64encode(beginning[: len(beginning) // 3 * 3])
    return beginning


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "something else"
