"""Chain of custody: the files that were read, their hashes and changes, and the program that read them."""

import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from auditor.audit import provenance
from auditor.evidence import exhibit, hashing, reading
from auditor.evidence.containers import magic
from auditor.evidence.etcd import snapshot
from auditor.evidence.file import EvidenceFile
from auditor.evidence.images import disk_formats
from auditor.evidence.sweep import FileSweep
from auditor.judgement.criteria import Criteria
from auditor.model.audit import Run
from auditor.model.evidence import Cluster, Evidence, Gap, Source, Stat
from auditor.model.vocabulary import Trailer
from auditor.observer import Observer
from auditor.options import Options, Setting, settings
from auditor.run_log import RunLog
from auditor.text import instant, moment, shown
from auditor.version import __version__

DISTRIBUTION = "etcd-auditor"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def finish(
    files: exhibit.Exhibit, read: reading.Reading, cluster: Cluster, observer: Observer
) -> tuple[Evidence, list[Gap]]:
    """The evidence as it was read, once its hashes are computed, and gaps for files that changed or do not match.

    Args:
        files: the exhibit.
        read: of its store.
        cluster: the Kubernetes cluster that it is of.
        observer: of the progress of hashing.
    """
    every = [file for _, file in files.files]
    hashing.wait([file.hashing for file in (*files.containers, *every)], observer)
    containers = [_source(file, _container_kind(file)) for file in files.containers]
    sources = [_source(file, read.kinds.get(file.name, role.value)) for role, file in files.files]
    gaps = [
        Gap(source.name, 0, source.size, f"the file changed while it was read: {source.changed}")
        for source in (*containers, *sources)
        if source.changed
    ]
    database = read.database or every[0]
    own = sources[every.index(database)]
    trailer = Trailer.NONE
    _, head = database.hashing.result()
    if read.trailer and head:
        trailer, gap = snapshot.check_trailer(database, head)
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
        changed=_changes((*containers, *sources), named=files.directory or bool(containers)),
        backend=read.backend,
        cluster=cluster,
        sources=tuple(sources),
        directory=files.directory,
        containers=tuple(containers),
        live=files.live,
    )
    return evidence, gaps


def _container_kind(file: EvidenceFile) -> str:
    kind, image = magic.of(file.map), disk_formats.of(file)
    if image is not None:
        return image.what.partition(" ")[2]
    return f"{kind.value} container" if kind in magic.CONTAINERS else "file with bytes before what is read of it"


def _changes(sources: Sequence[Source], *, named: bool) -> str:
    """The changes of all files, with the name of each file where there are several."""
    changes = [f"{source.name}: {source.changed}" if named else source.changed for source in sources if source.changed]
    return ", ".join(changes)


def _source(file: EvidenceFile, kind: str) -> Source:
    """A file at the end of the run, once its hash is computed."""
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
        stored=file.stored,
    )


def search(files: exhibit.Exhibit, log: RunLog) -> None:
    """Search raw bytes, wait for their hash, with which that ends, and say how far it is: their reader cannot."""
    for file in files.of(exhibit.Role.IMAGE):
        if file.hashing.size:
            from auditor.evidence.images.signatures import SIGNATURES  # waits until raw bytes are searched

            files.sweep = FileSweep(file, SIGNATURES)
        file.hashing.wait(log)


def hashes(files: exhibit.Exhibit) -> dict[str, str]:
    """SHA-256 of every file by name, once computed; empty where it never is."""
    return {file.name: file.hashing.result()[0] for _, file in files.files}


Tools = tuple[tuple[str, str], ...]
"""Names and versions."""


def run(options: Options, log: RunLog, criteria: Criteria, used: Tools) -> Run:
    """The record of the run, which ends now.

    Args:
        options: of the run.
        log: its steps.
        criteria: with the plugins and services that could be called.
        used: the tools.
    """
    log.step("concluded")
    return Run(
        version=__version__,
        started=moment(log.started.timestamp()),
        finished=moment(datetime.now(UTC).timestamp()),
        options=tuple((name, _shown(value)) for name, value in settings(options).items()),
        case=_text(options.case),
        tools=used,
        log=log.lines,
        plugins=tuple((provider, name, plugin.calls) for (provider, name), plugin in criteria.plugins.items()),
        kms=tuple(calls for client in criteria.clients for calls in client.tracks()),
        provenance=provenance.gather(options) if used or options.origin else (),
    )


@cache
def tools() -> Tools:
    """Name and version of the interpreter, of this program and of every library that it requires.

    Read once: a fleet audits many backups in a process, and each reading takes a fifth of a small one's time.
    """
    from importlib import metadata

    versions = [("python", ".".join(map(str, sys.version_info[:3]))), (DISTRIBUTION, __version__)]
    try:
        requirements = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:  # a source tree that is not installed
        requirements = []
    for line in requirements:
        name = _NAME.match(line)
        if name is None or "extra ==" in line:
            continue
        try:
            versions.append((name[0], metadata.version(name[0])))
        except metadata.PackageNotFoundError:
            versions.append((name[0], "not installed"))
    return tuple(versions)


def _shown(value: Setting) -> Setting:
    """An option's value, printable."""
    if isinstance(value, tuple):
        return tuple(_text(part) for part in value)
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    return shown(text)


def _stat(stat: os.stat_result) -> Stat:
    return Stat(stat.st_size, instant(stat.st_mtime_ns), instant(stat.st_ctime_ns))
