"""A list of SHA-256 checksums beside the reports, as `sha256sum -c` reads it, to sign or to time-stamp.

One for each folder of outputs, named after the first of them: `findings.csv.SHA256SUMS`. Every run writes its own, so
that no run changes a list that may be signed already.
"""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO

from auditor.cli.output import STDOUT, save
from auditor.verify.checksums import SUFFIX, digest, line


def targets(outputs: Sequence[Path | None]) -> dict[Path, list[Path]]:
    """Each list of checksums, and the outputs in it; standard output is in none."""
    lists: dict[Path, list[Path]] = {}
    first: dict[Path, Path] = {}
    for output in outputs:
        if output is None or output == STDOUT or not output.name:  # output.check() refuses one without a name
            continue
        namesake = first.setdefault(output.parent, output)
        lists.setdefault(namesake.with_name(namesake.name + SUFFIX), []).append(output)
    return lists


def write(outputs: Sequence[Path | None], *, force: bool) -> None:
    """Hash the content of each output's file, and list it."""
    for target, files in targets(outputs).items():
        lines = [line(digest(each), os.fsencode(each.name)) for each in files]
        save(target, partial(_write, lines), force=force, binary=True)


def _write(lines: list[bytes], out: IO[bytes]) -> None:
    out.writelines(lines)
