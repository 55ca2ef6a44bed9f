"""Expectations: refuse evidence that the user does not mean, the wrong file or another cluster's."""

import re

from auditor.errors import AuditorError, UsageError
from auditor.evidence.containers.member_name import is_member
from auditor.evidence.exhibit import Exhibit, Role
from auditor.kubernetes.trees import seconds
from auditor.model.evidence import Cluster
from auditor.observer import Observer
from auditor.options import Options
from auditor.text import hex_id, shown

_HEX = re.compile(r"[0-9a-f]{64}")


class UnexpectedEvidence(AuditorError):
    """The evidence is not the expected one. The message names both."""


def check(options: Options) -> None:
    """Refuse an expectation that cannot be checked. Raises UsageError."""
    if options.current_configs and not options.current:
        raise UsageError("--current-config belongs to --current: name the newer evidence")
    if options.as_of and seconds(options.as_of) is None:
        raise UsageError("--as-of takes a time in ISO 8601, such as 2026-11-29T00:00:00Z")
    if not options.expect_sha256:
        return
    if not _HEX.fullmatch(options.expect_sha256.lower()):
        raise UsageError("--expect-sha256 takes 64 hexadecimal digits, as sha256sum prints them")
    if options.quick:
        raise UsageError("--expect-sha256 needs the hash that --quick leaves out: give one of them")


def live(options: Options, *, live: bool) -> None:
    """Refuse options that do not fit a live endpoint, or that need one. Raises UsageError."""
    if not live and (options.range_only or options.keep):
        raise UsageError("--range and --keep belong to a live endpoint: https://HOST:2379")
    if live and options.wal_dir:
        raise UsageError("a live endpoint has no --wal-dir: audit the member's data directory")
    if live and options.raw:
        raise UsageError("a live endpoint sends a snapshot: --raw belongs to a member's own file, member/snap/db")
    if options.range_only and options.quick:
        raise UsageError("--range reads no file that --quick could leave out: give one of them")
    if options.range_only and (options.keep or options.expect_sha256):
        raise UsageError("--range reads keys and no file: --keep and --expect-sha256 need the snapshot")


def sha256(files: Exhibit, expected: str, observer: Observer) -> None:
    """Compare the hash of the database, once computed. Raises UnexpectedEvidence.

    The hash of a data directory is that of its database: its WAL has files of its own. The hash of an unpacked file may
    be its own, or that of its container.

    Args:
        files: the exhibit.
        expected: SHA-256 in hex.
        observer: of the progress of hashing.
    """
    candidates = [*files.of(Role.DATABASE), *files.of(Role.IMAGE)][:1]
    candidates = [file for file in files.containers if is_member(files.name, file.name)][:1] + candidates
    if not candidates:
        raise UnexpectedEvidence(f"{files.name} holds no database: there is nothing to compare {expected} with")
    actual = ""
    for file in candidates:
        file.hashing.wait(observer)
        actual, _ = file.hashing.result()
        if actual == expected.lower():
            return
    raise UnexpectedEvidence(
        f"{candidates[-1].name} is not the evidence that was meant: its SHA-256 is {actual}, expected "
        f"{expected.lower()}; nothing was read"
    )


def cluster(name: str, actual: Cluster, etcd: int | None, expected: str) -> None:
    """Compare the uid of the kube-system namespace. Raises UnexpectedEvidence, also where it is not readable.

    Args:
        name: printable name of the evidence.
        actual: its cluster.
        etcd: id of its etcd cluster; None where it is not known.
        expected: uid of the kube-system namespace.
    """
    uids = {each.uid: each for each in actual.clusters if each.uid}
    if expected.strip() in uids:
        return
    if len(uids) > 1:
        listed = ", ".join(f"{each.uid} under {shown(each.prefix)}" for each in uids.values())
        uid = f"it holds {len(uids)} clusters, whose kube-system namespaces have other uids: {listed}"
    elif actual.uid:
        uid = f"the kube-system namespace's uid is {actual.uid}, created {actual.created or 'at an unknown time'}"
    else:
        uid = "it has no kube-system namespace that can be read without a key"
    store = f"; etcd's own cluster id is {hex_id(etcd)}" if etcd is not None else ""
    raise UnexpectedEvidence(
        f"{name} is not known to be of cluster {shown(expected)}: {uid}{store}; nothing was concluded"
    )
