"""What the report vouches for: which files were read, their hashes, that they did not change, and what read them."""

import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from auditor.evidence import exhibit, hashing, reading
from auditor.evidence.containers import magic
from auditor.evidence.etcd import snapshot
from auditor.evidence.file import EvidenceFile
from auditor.model.audit import Run
from auditor.model.evidence import Cluster, Evidence, Gap, Source, Stat
from auditor.model.vocabulary import Provider, Trailer
from auditor.observer import Observer
from auditor.options import Options, Setting, settings
from auditor.run_log import RunLog
from auditor.text import instant, moment, shown
from auditor.version import __version__

if TYPE_CHECKING:
    from auditor.encryption.kms import Plugin

DISTRIBUTION = "etcd-auditor"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def finish(
    files: exhibit.Exhibit, read: reading.Reading, cluster: Cluster, observer: Observer
) -> tuple[Evidence, list[Gap]]:
    """Wait for the hashes: the evidence as it was read, and gaps where it does not hold together."""
    every = [file for _, file in files.files]
    hashing.wait([file.hashing for file in (*files.containers, *every)], observer)
    containers = [_source(file, f"{magic.of(file.map).value} container") for file in files.containers]
    sources = [_source(file, read.kinds.get(file.name, role.value)) for role, file in files.files]
    gaps = [
        Gap(each.name, 0, each.size, f"the file changed while it was read: {each.changed}")
        for each in (*containers, *sources)
        if each.changed
    ]
    main = read.database or every[0]
    own = sources[every.index(main)]
    trailer = Trailer.NONE
    _, head = main.hashing.result()
    if read.trailer and head:
        trailer, gap = snapshot.check_trailer(main, head)
        gaps += [gap] if gap else []
    elif read.trailer:
        trailer = Trailer.NOT_CHECKED
    evidence = Evidence(
        name=files.name,
        kind=read.kind,
        description=read.description,
        size=own.size,
        modified=own.modified,
        sha256=own.sha256,
        trailer=trailer,
        trailer_bytes=read.trailer,
        changed=", ".join(
            f"{each.name}: {each.changed}" if files.directory or containers else each.changed
            for each in (*containers, *sources)
            if each.changed
        ),
        backend=read.backend,
        cluster=cluster,
        sources=tuple(sources),
        directory=files.directory,
        containers=tuple(containers),
        live=files.live,
    )
    return evidence, gaps


def _source(file: EvidenceFile, kind: str) -> Source:
    """A file at the end of the run, when its hash is known."""
    sha256, _ = file.hashing.result()
    changed = file.changed()
    return Source(
        name=file.name,
        kind=kind,
        size=file.size,
        modified=moment(file.before.st_mtime),
        sha256=sha256,
        changed=changed,
        before=_stat(file.before),
        after=_stat(file.now()),
    )


def hashes(files: exhibit.Exhibit) -> dict[str, str]:
    """Wait for the SHA-256 of every file, by name; empty where none is computed."""
    return {file.name: file.hashing.result()[0] for _, file in files.files}


Tools = tuple[tuple[str, str], ...]
"""Names and versions."""


def run(options: Options, log: RunLog, plugins: Mapping[tuple[Provider, str], "Plugin"], used: Tools) -> Run:
    """The run as it was, ending now."""
    log.step("concluded")
    return Run(
        version=__version__,
        started=moment(log.started.timestamp()),
        finished=moment(datetime.now(UTC).timestamp()),
        options=tuple((name, _shown(value)) for name, value in settings(options).items()),
        case=_text(options.case),
        tools=used,
        log=log.lines,
        plugins=tuple((provider, name, plugin.calls) for (provider, name), plugin in plugins.items()),
    )


def tools() -> Tools:
    """Name and version of the interpreter, of this program and of every library that it asks for."""
    from importlib import metadata

    found = [("python", ".".join(map(str, sys.version_info[:3]))), (DISTRIBUTION, __version__)]
    try:
        wanted = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # run from a source tree that was never installed
        wanted = []
    for line in wanted:
        name = _NAME.match(line)
        if name is None or "extra ==" in line:
            continue
        try:
            found.append((name[0], metadata.version(name[0])))
        except metadata.PackageNotFoundError:
            found.append((name[0], "not installed"))
    return tuple(found)


def _shown(value: Setting) -> Setting:
    """An option's value, printable."""
    if isinstance(value, tuple):
        return tuple(_text(part) for part in value)
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    return shown(text)


def _stat(stat: os.stat_result) -> Stat:
    return Stat(stat.st_size, instant(stat.st_mtime_ns), instant(stat.st_ctime_ns))
