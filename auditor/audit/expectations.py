"""Refuse evidence that is not what the user says it is: the wrong file, or another cluster's."""

import re

from auditor.errors import AuditorError, UsageError
from auditor.evidence.containers.member_name import is_member
from auditor.evidence.exhibit import Exhibit, Role
from auditor.model.evidence import Cluster
from auditor.observer import Observer
from auditor.options import Options
from auditor.text import hex_id, shown

_HEX = re.compile(r"[0-9a-f]{64}")


class UnexpectedEvidence(AuditorError):
    """Readable, perhaps, but not the evidence that was meant: says what was expected and what was found."""


def check(options: Options) -> None:
    """Raises UsageError where what is expected cannot be compared with anything."""
    if not options.expect_sha256:
        return
    if not _HEX.fullmatch(options.expect_sha256.lower()):
        raise UsageError("--expect-sha256 takes 64 hexadecimal digits, as sha256sum prints them")
    if options.quick:
        raise UsageError("--expect-sha256 needs the hash that --quick leaves out: give one of them")


def live(options: Options, *, live: bool) -> None:
    """Raises UsageError where options do not fit evidence that is a live endpoint, or is none."""
    if not live and (options.range_only or options.keep):
        raise UsageError("--range and --keep belong to a live endpoint: https://HOST:2379")
    if live and options.wal_dir:
        raise UsageError("a live endpoint has no --wal-dir: audit the member's data directory")
    if options.range_only and options.quick:
        raise UsageError("--range reads no file that --quick could leave out: give one of them")
    if options.range_only and (options.keep or options.expect_sha256):
        raise UsageError("--range reads keys and no file: --keep and --expect-sha256 need the snapshot")


def sha256(files: Exhibit, wanted: str, observer: Observer) -> None:
    """Wait for the hash of the database and compare it. Raises UnexpectedEvidence.

    A data directory is known by its database: the log beside it has files of its own, which no one hash covers. What
    was unpacked is known by its own hash, or by that of the container that was given.
    """
    candidates = files.of(Role.DATABASE)[:1]
    candidates = [each for each in files.containers if is_member(files.name, each.name)][:1] + candidates
    if not candidates:
        raise UnexpectedEvidence(f"{files.name} holds no database: there is nothing to compare {wanted} with")
    found = ""
    for file in candidates:
        file.hashing.wait(observer)
        found, _ = file.hashing.result()
        if found == wanted.lower():
            return
    raise UnexpectedEvidence(
        f"{candidates[-1].name} is not the evidence that was meant: its SHA-256 is {found}, expected "
        f"{wanted.lower()}; nothing was read"
    )


def cluster(name: str, found: Cluster, etcd: int | None, wanted: str) -> None:
    """Compare the uid of the kube-system namespace. Raises UnexpectedEvidence, where it is not readable too."""
    if found.uid and found.uid == wanted.strip():
        return
    if found.uid:
        what = f"the kube-system namespace's uid is {found.uid}, created {found.created or 'at an unknown time'}"
    else:
        what = "it has no kube-system namespace that can be read without a key"
    store = f"; etcd's own cluster id is {hex_id(etcd)}" if etcd is not None else ""
    raise UnexpectedEvidence(
        f"{name} is not known to be of cluster {shown(wanted)}: {what}{store}; nothing was concluded"
    )
