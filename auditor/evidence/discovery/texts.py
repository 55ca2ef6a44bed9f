"""Texts beside evidence in which no value of Kubernetes' begins, for those who look for values that are given."""

import os
from collections.abc import Iterator
from pathlib import Path

from auditor.errors import UnreadableEvidence
from auditor.evidence.discovery.extraction import Extraction, take
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.model.evidence import Gap, Unexamined
from auditor.options import Options
from auditor.text import shown

MOST = 200
"""Texts that are open at once: each takes descriptors."""


def are_wanted(options: Options) -> bool:
    """Whether anybody looks for values in them."""
    return options.hunt or options.keeps_texts


def add(exhibit: Exhibit, path: Path, options: Options) -> None:
    """Add the texts beside an exhibit to its files, where they are wanted; a gap for one that cannot be opened.

    Args:
        exhibit: The exhibit.
        path: Its file or folder.
        options: Whether they are wanted, and those of folders that were named.
    """
    if not are_wanted(options):
        return
    taken_names = {file.name for _, file in exhibit.files}
    for number, text in enumerate((*exhibit.bystanders, *_beside(path, options))):
        name = shown(os.path.relpath(text, path if exhibit.directory and path in text.parents else path.parent))
        while name in taken_names:
            name = f"./{name}"
        taken_names.add(name)
        if number >= MOST:
            exhibit.unexamined.append(
                Unexamined(name, f"{MOST} texts beside evidence are searched, and this is another", decisive=True)
            )
            continue
        try:
            if text.stat().st_size:
                file = EvidenceFile.open(text, hashed=not options.quick, name=name)
                exhibit.files.append((Role.TEXT, file))
        except (OSError, UnreadableEvidence) as error:
            why = str(error) if isinstance(error, UnreadableEvidence) else f"{name}: {error.strerror}"
            exhibit.gaps.append(Gap(name, 0, 0, why))


def _beside(path: Path, options: Options) -> Iterator[Path]:
    """The texts of folders that were named: those in the folder of the evidence, or all where one search is for all."""
    for text in map(Path, options.beside_texts):
        if options.keeps_texts or text.absolute().parent == path.absolute().parent:
            yield text


def unsearched(options: Options, evidence: list[str]) -> list[Unexamined]:
    """The texts in folders without evidence, which no hunt searches."""
    folders = {Path(each).absolute().parent for each in evidence}
    names = [shown(text) for text in options.beside_texts if Path(text).absolute().parent not in folders]
    if not options.hunt or not names:
        return []
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    reason = "--hunt searches texts in the folders of evidence alone: copy it beside the evidence, or use find"
    return [Unexamined(f"{names[0]}{more}", reason, decisive=True)]


def add_of_container(
    extraction: Extraction, path: Path | None, options: Options, exhibit: Exhibit, *, first: bool
) -> None:
    """Add the texts in a container, and beside it, to its first exhibit; the values of another are not hunted there.

    Args:
        extraction: The contents of the container.
        path: The container; None where nothing lies beside it.
        options: Whether they are wanted, and those of folders that were named.
        exhibit: One exhibit in it.
        first: Whether it is the first.
    """
    if first:
        exhibit.files += [(Role.TEXT, file) for file in take(extraction.texts)]
        if path is not None:
            add(exhibit, path, options)
    elif options.hunt and (extraction.others or (path is not None and any(_beside(path, options)))):
        reason = "--hunt searched them for the values of the first evidence item alone: scan each by itself"
        exhibit.unexamined.append(Unexamined("the texts beside it in the container", reason, decisive=True))
