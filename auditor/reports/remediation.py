"""Commands that would remove what was found: written only when asked for, since they destroy evidence.

A name reaches a command only if Kubernetes accepts it: RFC 1123 subdomains (k8s.io/apimachinery
pkg/util/validation), which hold nothing that a shell reads.
"""

import re
import shlex
from collections.abc import Iterator
from typing import IO

from auditor.model import Audit, Finding, Place
from auditor.reports import words
from auditor.reports.words import plural

_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
NAMESPACE = re.compile(rf"(?=.{{1,63}}\Z){_LABEL}")
REWRITTEN = Finding.PLAINTEXT | Finding.STALE_PROVIDER | Finding.STALE_KEY | Finding.STALE_KEK | Finding.KNOWN_KEY

WARNING = """\
# WARNING: every command below destroys evidence: it overwrites, compacts or frees what the report names.
# Before the first of them, preserve the evidence: copy it, and record its SHA-256:
#   {sha256}
# Rotate the credentials named here first: whoever has an old backup can still read them.
# Nothing here was run. Read each command, and try it on a test cluster.
"""


def write(audit: Audit, out: IO[str]) -> None:
    """A shell script of which every line is a comment or one command with quoted, valid names."""
    out.write("#!/bin/sh\n")
    out.write(WARNING.format(sha256=audit.evidence.sha256 or "(not computed: --quick)"))
    out.write("set -eu\n")
    for line in _lines(audit):
        out.write(line + "\n")


def _lines(audit: Audit) -> Iterator[str]:
    rewrites, refused = _objects(audit)
    yield ""
    yield f"# 1. Rewrite {plural(len(rewrites), 'object')} whose current value is not as it should be."
    if refused:
        yield f"# Left out: {plural(refused, 'object')} whose name or namespace Kubernetes would not accept."
    for resource, namespace, name in rewrites:
        where = f" --namespace {shlex.quote(namespace)}" if namespace else ""
        asked = f"kubectl get {shlex.quote(resource)} {shlex.quote(name)}{where} --output json"
        yield f"{asked} | kubectl replace --filename -"
    if words.is_kine(audit):
        yield from _kine(audit)
        return
    places = {place for place, *_ in audit.tally.places} & set(audit.tally.readable_places)
    if places & {Place.LATEST, Place.HISTORY, Place.DELETED} or rewrites:
        yield ""
        yield "# 2. Compact the history up to the current revision."
        yield (
            "revision=$(etcdctl endpoint status --write-out json | "
            "sed 's/.*\"revision\":\\([0-9]*\\).*/\\1/' | head -n 1)"
        )
        yield 'etcdctl compaction --physical "$revision"'
    if places - {Place.WAL} or rewrites:
        yield ""
        yield "# 3. Defragment every member: freed pages are dropped, the old file is only unlinked."
        yield "etcdctl defrag --cluster"
    yield ""
    yield "# 4. The WAL of each member keeps what was written until its segments are purged; no command wipes it."
    yield "#    Remove each member in turn, destroy its disk, and add it again; destroy old backups; then audit anew."


def _kine(audit: Audit) -> Iterator[str]:
    """kine has no command for any of it: what its own start and compaction do, and how to make them."""
    for number, place in enumerate(audit.tally.readable_places, 2):
        why, remedy = words.KINE_CAUSES[place]
        yield ""
        yield f"# {number}. {place.label}: {why}."
        yield f"#    {remedy}."


def _objects(audit: Audit) -> tuple[list[tuple[str, str, str]], int]:
    """Resource, namespace and name of each object to rewrite, and how many have no valid name."""
    columns = audit.rows.columns
    found: dict[tuple[str, str, str], None] = {}
    refused = 0
    for row, marks in enumerate(audit.rows.marks):
        if columns["place"][row] != Place.LATEST.label or not any(mark.finding & REWRITTEN for mark in marks):
            continue
        resource, namespace, name = (str(columns[column][row]) for column in ("resource", "namespace", "name"))
        if NAME.fullmatch(resource) and NAME.fullmatch(name) and (not namespace or NAMESPACE.fullmatch(namespace)):
            found[resource, namespace, name] = None
        else:
            refused += 1
    return sorted(found), refused
