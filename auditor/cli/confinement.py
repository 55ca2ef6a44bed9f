"""What the process of a command still needs: the limits of its sandbox, by what the command line names."""

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from auditor import platform
from auditor.cli import live_options
from auditor.cli.output import STDOUT
from auditor.encryption.kms import address
from auditor.evidence.discovery import databases, remote
from auditor.options import Options
from auditor.sandbox import CLIENTS, Limits

FROM_FILES = frozenset({"file"})
"""Schemes of --kms that neither connect nor load a library of others."""


def limits(
    evidence: Sequence[str],
    options: Sequence[Options] = (),
    outputs: Iterable[Path | None] = (),
    *,
    programs: bool = False,
    elsewhere: str = "",
) -> Limits:
    """The limits of a command.

    Args:
        evidence: What it reads, as on the command line.
        options: How.
        outputs: The files and folders that it writes; None for one that is not asked for.
        programs: Whether an option asks for a program of the system's.
        elsewhere: An option that has a server called which is neither evidence nor a KMS; empty for none.
    """
    named = [*evidence, *(each.current for each in options if each.current)]
    services = {address.parse(each).scheme for each in chain.from_iterable(own.kms for own in options)} - FROM_FILES
    if any(map(remote.is_remote, named)) or services:
        return Limits(exemption=CLIENTS)
    scratch = [Path(each.work_dir) for each in options if each.work_dir]
    files = [each for each in outputs if each is not None and each != STDOUT]
    connects = any(own.kms_plugins for own in options) or any(
        live_options.is_live(each) or databases.is_database(each) for each in named
    )
    return Limits(
        folders=tuple({*scratch, *(path for each in files for path in (each, each.parent))}),
        connects=connects or bool(elsewhere),
        programs=programs or not platform.forks_safely(),  # the process of each of several items is started anew there
    )
