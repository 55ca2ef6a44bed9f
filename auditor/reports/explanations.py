"""Explanations of the words in reports: findings, places, verdicts, columns, what cells hold, exit codes, terms."""

from collections.abc import Iterator
from typing import NamedTuple

from auditor.model.table import COLUMNS
from auditor.model.vocabulary import FindingKind, Place, Verdict
from auditor.reports.causes import CAUSES, KINE_CAUSES
from auditor.reports.meaning import MEANING
from auditor.reports.terms import CELLS, CODES, PROVIDERS, SEVERITIES, STATES, TERMS


class Explanation(NamedTuple):
    """One word of a report."""

    kind: str
    """Kind of word: finding, place, verdict, provider, exit code, severity, state, cell, term or column."""
    meaning: str
    """Meaning of the word."""
    check: str = ""
    """How to check it by hand; empty where there is nothing to check."""
    remedy: str = ""
    """What to do; empty where nothing is to be done."""


PLACES = {
    Place.LATEST: "the current revision of an existing key",
    Place.HISTORY: "an older revision of an existing key, not compacted away",
    Place.DELETED: "a revision of a key whose newest revision is a tombstone",
    Place.OLD_VALUE: "kine only: the previous value, which kine repeats in the current row",
    Place.PREVIOUS_ROOT: "reachable only from the older of two meta pages that differ",
    Place.FREED: "a page that no root reaches: compaction or a rewrite freed it, and nothing wiped it",
    Place.SLACK: "bytes of a page outside every element, or past the high-water mark",
    Place.WAL: "a record or frame of a write-ahead log",
    Place.V2_STORE: "a node of etcd's v2 store, as of a raft snapshot; kube-apiserver of today does not read it",
    Place.UNPLACED: "readable, but no valid root leads anywhere: current or freed cannot be told",
}
"""Meaning of each place."""
_BY_KEY = "`etcd-auditor show EVIDENCE NAMESPACE/NAME` lists the object's revisions with their places; {}"
PLACE_CHECKS = {
    Place.LATEST: _BY_KEY.format("`etcdctl get KEY --print-value-only` of a restored copy shows the bytes"),
    Place.HISTORY: _BY_KEY.format("`etcdctl get KEY --rev=N` of a restored copy shows the bytes"),
    Place.DELETED: _BY_KEY.format("`etcdctl get KEY --rev=N` of a restored copy, before the deletion's revision"),
    Place.OLD_VALUE: "`SELECT old_value FROM kine WHERE id = N` in a copy of the database",
    Place.PREVIOUS_ROOT: "pages 0 and 1 name different roots and transactions: `page` lies under the older one alone",
    Place.FREED: "`bbolt pages` of a copy calls the row's `page` free; of SQLite, its freelist names it",
    Place.SLACK: "read the row's `page`: no element of its header covers `offset`",
    Place.WAL: "`source` is a file of the log; `etcd-dump-logs`, or SQLite's frames, show the record around `offset`",
    Place.V2_STORE: "`source` is a raft snapshot (.snap): JSON of the v2 store, whose node holds the bytes at `offset`",
    Place.UNPLACED: "read `size` bytes at `offset` of `source`; what leads there is lost, or not in this evidence",
}
"""How to check by hand where a row lies."""
_AT_OFFSET = "read `size` bytes at `offset` of the file `source` (the unpacked one, where it was packed): {}"
CHECKS = {
    FindingKind.PLAINTEXT: _AT_OFFSET.format("they begin with `k8s` and a zero byte, `{` or CBOR's tag d9 d9 f7"),
    FindingKind.KNOWN_KEY: "decrypt the value with the key that `detail` names",
    FindingKind.KEY_PRESENT: "look at the object that `key` names, or at `offset`: the key stands there in base64",
    FindingKind.COPIED_VALUE: "compare the field that `detail` names with the bytes at `offset`",
    FindingKind.MISPLACED: "decrypt the value under its own etcd key, and compare namespace and name in the object",
    FindingKind.UNDECRYPTABLE: "ask the API server for the object: it answers with an internal error",
    FindingKind.ORPHANED: "ask the API server for the object: it answers with an internal error",
    FindingKind.CONFIGURATION: "read the configuration at the path that begins `detail`",
    FindingKind.UNRECOGNISED: _AT_OFFSET.format("their prefix names no provider of Kubernetes', or they have none"),
    FindingKind.STALE_PROVIDER: _AT_OFFSET.format("compare their prefix with the configuration's first provider"),
    FindingKind.STALE_KEY: _AT_OFFSET.format("compare the key's name in their prefix with the first key"),
    FindingKind.STALE_KEK: "compare `kek_id` with the key id that the KMS plugin's Status reports",
    FindingKind.WEAK_PROVIDER: "count the values of this provider in the inventory (--inventory)",
}
"""How to check each finding by hand."""
VERDICTS = {
    Verdict.FINDINGS: (
        "a finding at or above --fail-on stands (exit 1); gaps may remain, and are counted beside it",
        "begin with the most severe findings, and with those that hold a credential in use",
    ),
    Verdict.ACCEPTED: (
        "a finding of medium severity or above stands, and --ignore or --fail-on lets it pass (exit 0)",
        "look at the reasons and dates in the ignore file",
    ),
    Verdict.INCONCLUSIVE: (
        "no finding fails the run, and not everything inside the scope was read or concluded (exit 3)",
        "supply what is missing: keys, files, a whole copy; the list Not examined says which",
    ),
    Verdict.NONE: (
        "everything inside the scope was examined, and no finding of medium severity or above stands (exit 0); it says "
        "nothing of other members, backups and disks",
        "",
    ),
}
"""Meaning of each verdict, and what to do."""


def words() -> dict[str, Explanation]:
    """The explanation of every word, by the word as reports print it."""
    lists = {"provider": PROVIDERS, "severity": SEVERITIES, "state": STATES, "cell": CELLS}
    named = {name: Explanation(kind, meaning) for kind, each in lists.items() for name, meaning in each.items()}
    terms = {name: Explanation("term", term.meaning, remedy=term.remedy) for name, term in TERMS.items()}
    codes = {name: Explanation("exit code", code.meaning, remedy=code.remedy) for name, code in CODES.items()}
    return dict([*_findings(), *_places(), *_verdicts(), *codes.items(), *named.items(), *terms.items(), *_columns()])


def _findings() -> Iterator[tuple[str, Explanation]]:
    for kind in FindingKind:
        meaning, remedy = MEANING[kind]
        yield kind.label, Explanation("finding", meaning, CHECKS[kind], remedy)


def _places() -> Iterator[tuple[str, Explanation]]:
    for place, meaning in PLACES.items():
        cause, remedy = (KINE_CAUSES if place is Place.OLD_VALUE else CAUSES)[place]
        text = f"{meaning}. Why a readable value is there: {cause}."
        yield place.label, Explanation("place", text, PLACE_CHECKS[place], remedy)


def _verdicts() -> Iterator[tuple[str, Explanation]]:
    for verdict, (meaning, remedy) in VERDICTS.items():
        yield verdict.value.replace(" ", "-"), Explanation("verdict", meaning, remedy=remedy)


def _columns() -> Iterator[tuple[str, Explanation]]:
    for name, meaning in COLUMNS.items():
        yield name, Explanation("column", meaning)
