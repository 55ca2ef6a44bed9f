"""What the report vouches for: which files were read, their hashes, and that they did not change meanwhile."""

from auditor.evidence import gather, reading, snapshot
from auditor.evidence.file import EvidenceFile
from auditor.model import Cluster, Evidence, Gap, Source
from auditor.options import Progress
from auditor.text import moment


def finish(
    files: gather.Evidence, read: reading.Reading, cluster: Cluster, progress: Progress | None
) -> tuple[Evidence, list[Gap]]:
    """Wait for the hashes: the evidence as it was read, and gaps where it does not hold together."""
    every = [file for _, file in files.files]
    _wait(every, progress)
    gaps = []
    sources = []
    for file, kind in zip(every, read.kinds, strict=True):
        sha256 = file.hashing.result()[0] if file.hashing is not None else ""
        changed = file.changed()
        if changed:
            gaps.append(Gap(file.name, 0, file.size, f"the file changed while it was read: {changed}"))
        sources.append(Source(file.name, kind, file.size, moment(file.before.st_mtime), sha256, changed))
    main = read.main or every[0]
    own = sources[every.index(main)]
    trailer = "none"
    if read.trailer and main.hashing is not None:
        trailer, gap = snapshot.check_trailer(main, main.hashing.result()[1])
        gaps += [gap] if gap else []
    elif read.trailer:
        trailer = "not checked"
    evidence = Evidence(
        name=files.name,
        kind=read.kind,
        size=own.size,
        modified=own.modified,
        sha256=own.sha256,
        trailer=trailer,
        trailer_bytes=read.trailer,
        changed=", ".join(
            f"{each.name}: {each.changed}" if files.directory else each.changed for each in sources if each.changed
        ),
        backend=read.facts,
        cluster=cluster,
        sources=tuple(sources),
        directory=files.directory,
    )
    return evidence, gaps


def _wait(files: list[EvidenceFile], progress: Progress | None) -> None:
    hashed = [file for file in files if file.hashing is not None]
    total = sum(file.size for file in hashed)
    while progress is not None and (busy := [file for file in hashed if file.hashing and file.hashing.alive()]):
        if busy[0].hashing is not None:
            busy[0].hashing.wait(0.1)
        progress(sum(file.hashing.done for file in hashed if file.hashing is not None), total)
