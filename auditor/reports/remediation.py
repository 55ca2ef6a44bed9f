"""Commands that would remove the findings: written on request only, since they destroy evidence.

A name reaches a command only if Kubernetes accepts it: RFC 1123 subdomains (k8s.io/apimachinery
pkg/util/validation), which hold nothing that a shell interprets. Without APPLY=yes the script stores nothing: the API
server tries each rewrite (--dry-run=server), and the other commands are only shown.
"""

import re
import shlex
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import IO

from auditor.model.audit import Audit
from auditor.model.vocabulary import FindingKind, Place
from auditor.reports import causes
from auditor.reports.interface import Report
from auditor.reports.words import plural

_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
NAMESPACE = re.compile(rf"(?=.{{1,63}}\Z){_LABEL}")
REWRITE_KINDS = (
    FindingKind.PLAINTEXT
    | FindingKind.STALE_PROVIDER
    | FindingKind.STALE_KEY
    | FindingKind.STALE_KEK
    | FindingKind.KNOWN_KEY
)
BATCH = 50
"""Objects that one pair of kubectl commands reads and writes."""
CLUSTER = "-"
"""The namespace of cluster-scoped objects, in a command."""

ObjectReference = tuple[str, str, str]
"""Resource, namespace and name of an object."""

WARNING = """\
# WARNING: the commands below destroy evidence: they overwrite, compact or free what was found in
#   {origin}
# Preserve the evidence before the first of them: copy it, and record its SHA-256.
# Rotate the credentials named here first: whoever has an old backup can still read them.
# Nothing here was run. Read each command, and try it on a test cluster.
#
#   sh FILE              a dry run: the API server tries every rewrite and stores nothing
#   APPLY=yes sh FILE    runs them; started again it goes on behind the objects that are noted in the file $DONE
"""
FUNCTIONS = """\
set -eu
APPLY=${APPLY:-no}
DONE=${DONE:-etcd-auditor-rewritten.txt}
FAILED=0

# read RESOURCE NAMESPACE OUTPUT NAME...
read_objects() {
  resource=$1 namespace=$2 form=$3
  shift 3
  if [ "$namespace" = - ]; then
    kubectl get "$resource" "$@" --ignore-not-found --output "$form"
  else
    kubectl get "$resource" "$@" --namespace "$namespace" --ignore-not-found --output "$form"
  fi
}

# write back what was read, unchanged: whoever changed an object in between makes it fail, and nothing is lost
replace() {
  from=$1 within=$2
  shift 2
  if [ "$APPLY" = yes ]; then
    read_objects "$from" "$within" json "$@" | kubectl replace --filename -
  else
    read_objects "$from" "$within" json "$@" | kubectl replace --dry-run=server --filename -
  fi
}

noted() { [ -f "$DONE" ] && grep -qxF -e "$1" "$DONE"; }
note() { if [ "$APPLY" = yes ]; then printf '%s\n' "$1" >> "$DONE"; fi; }
show() { if [ "$APPLY" = yes ]; then "$@"; else echo "would run: $*"; fi; }

# batch RESOURCE NAMESPACE NAME...: all at once, and one by one where that fails
batch() {
  of=$1 in=$2
  shift 2
  left=
  for name in "$@"; do
    noted "$of $in $name" || left="$left $name"
  done
  [ -n "$left" ] || return 0
  # the names hold nothing that a shell splits or expands
  if replace "$of" "$in" $left; then
    for name in $left; do note "$of $in $name"; done
    return 0
  fi
  for name in $left; do
    if found=$(read_objects "$of" "$in" name "$name") && [ -z "$found" ]; then
      echo "gone: $of $in $name"
      note "$of $in $name"
    elif replace "$of" "$in" "$name"; then
      note "$of $in $name"
    else
      echo "FAILED: $of $in $name" >&2
      FAILED=1
    fi
  done
}
"""


def write(audit: Audit, out: IO[str]) -> None:
    """A script that rewrites, compacts and defragments, each command with quoted, valid names."""
    evidence = audit.evidence
    out.write(_head(f"{evidence.name}, SHA-256 {evidence.sha256 or '(not computed: --quick)'}"))
    rewrites, refused = _objects(audit)
    for line in (*_rewrites(rewrites, refused), *_after(audit, rewrites)):
        out.write(line + "\n")


def rewrite(objects: Iterable[ObjectReference], origin: str, out: IO[str]) -> None:
    """A script that rewrites exactly these objects.

    Args:
        objects: The objects; those without a valid name are counted in a comment.
        origin: The evidence that holds them, in one line.
        out: The text stream.
    """
    valid, refused = _valid(objects)
    out.write(_head(origin))
    for line in _rewrites(valid, refused):
        out.write(line + "\n")


def _head(origin: str) -> str:
    """The beginning of a script. The origin is printable, so that no line break ends its comment."""
    return "#!/bin/sh\n" + WARNING.format(origin=origin) + FUNCTIONS


def _rewrites(objects: list[ObjectReference], refused: int) -> Iterator[str]:
    yield ""
    yield f"# 1. Rewrite {plural(len(objects), 'object')} whose current value is not as it should be."
    if refused:
        yield f"# Left out: {plural(refused, 'object')} whose name or namespace Kubernetes would not accept."
    for (resource, namespace), group in groupby(objects, key=lambda reference: reference[:2]):
        names = [shlex.quote(name) for _, _, name in group]
        for start in range(0, len(names), BATCH):
            head = f"batch {shlex.quote(resource)} {shlex.quote(namespace or CLUSTER)}"
            yield f"{head} {' '.join(names[start : start + BATCH])}"
    yield 'if [ "$FAILED" != 0 ]; then echo "not all was rewritten: see above" >&2; exit 1; fi'


def _after(audit: Audit, rewrites: list[ObjectReference]) -> Iterator[str]:
    if causes.is_kine(audit):
        yield from _kine(audit)
        return
    places = {place for place, *_ in audit.tally.places} & set(audit.tally.readable_places)
    if places & {Place.LATEST, Place.HISTORY, Place.DELETED} or rewrites:
        yield ""
        yield "# 2. Compact the history up to the current revision."
        yield 'if [ "$APPLY" = yes ]; then'
        yield (
            "  revision=$(etcdctl endpoint status --write-out json | "
            "sed 's/.*\"revision\":\\([0-9]*\\).*/\\1/' | head -n 1)"
        )
        yield "else"
        yield "  revision=CURRENT"
        yield "fi"
        yield 'show etcdctl compaction --physical "$revision"'
    if places - {Place.WAL} or rewrites:
        yield ""
        yield "# 3. Defragment every member: freed pages are dropped, the old file is only unlinked."
        yield "show etcdctl defrag --cluster"
    yield ""
    yield "# 4. The WAL of each member keeps what was written until its segments are purged; no command wipes it."
    yield "#    Remove each member in turn, destroy its disk, and add it again; destroy old backups; then audit anew."


def _kine(audit: Audit) -> Iterator[str]:
    """Comments: kine has no command for compaction and cleaning; its own start and compaction do them."""
    for number, place in enumerate(audit.tally.readable_places, 2):
        why, remedy = causes.KINE_CAUSES[place]
        yield ""
        yield f"# {number}. {place.label}: {why}."
        yield f"#    {remedy}."


def _objects(audit: Audit) -> tuple[list[ObjectReference], int]:
    """The objects to rewrite, and the number of those without a valid name."""
    columns = audit.rows.columns
    cells = zip(*(columns.get(name, ()) for name in ("place", "resource", "namespace", "name")), strict=True)
    return _valid(
        (str(resource), str(namespace), str(name))
        for (place, resource, namespace, name), findings in zip(cells, audit.rows.findings, strict=False)
        if place == Place.LATEST.label and any(finding.kind & REWRITE_KINDS for finding in findings)
    )


def _valid(objects: Iterable[ObjectReference]) -> tuple[list[ObjectReference], int]:
    """The objects with valid names, sorted and without duplicates, and the number of others."""
    distinct = set(objects)
    valid = {
        (resource, namespace, name)
        for resource, namespace, name in distinct
        if NAME.fullmatch(resource) and NAME.fullmatch(name) and (not namespace or NAMESPACE.fullmatch(namespace))
    }
    return sorted(valid), len(distinct) - len(valid)


class RemediationReport(Report):
    """The script of every finding."""

    def write(self, audit: Audit, out: IO[str]) -> None:
        write(audit, out)
