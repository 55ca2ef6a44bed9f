"""A file of SHA-256 sums beside the reports, in the form that `sha256sum -c` reads, to sign or to time-stamp.

One for each folder that outputs go to, named after the first of them: `findings.csv.SHA256SUMS`. Every run has its
own, so that no run takes another's files off a list that may be signed already.
"""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO

from auditor.cli.output import STDOUT, save
from auditor.verify.checksums import SUFFIX, digest, line


def targets(outputs: Sequence[Path | None]) -> dict[Path, list[Path]]:
    """Each file of sums, and the outputs that it is to list; standard output has none."""
    lists: dict[Path, list[Path]] = {}
    first: dict[Path, Path] = {}
    for output in outputs:
        if output is None or output == STDOUT:
            continue
        named = first.setdefault(output.parent, output)
        lists.setdefault(named.with_name(named.name + SUFFIX), []).append(output)
    return lists


def write(outputs: Sequence[Path | None], *, force: bool) -> None:
    """Hash what now stands in each output's file, and list it."""
    for target, listed in targets(outputs).items():
        lines = [line(digest(each), os.fsencode(each.name)) for each in listed]
        save(target, partial(_write, lines), force=force, binary=True)


def _write(lines: list[bytes], out: IO[bytes]) -> None:
    out.writelines(lines)
