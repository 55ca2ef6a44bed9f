"""Words of reports that are neither findings, places, verdicts nor columns: terms, exit codes, and what cells hold."""

from typing import NamedTuple


class Term(NamedTuple):
    """What a word means."""

    meaning: str
    remedy: str = ""
    """What to do; empty where nothing is to be done."""


TERMS = {
    "readable": Term(
        "a value that any holder of this evidence can read without a key; not that anyone did. What opens with a key "
        "that is known is a finding of its own (known-key)"
    ),
    "policy": Term(
        "which resources must be encrypted, and how: what --encryption-config says, else Secrets by anything other "
        "than identity; --resource and --expect change it"
    ),
    "exempt": Term("a resource that the policy lets be stored without encryption: its values are listed, not judged"),
    "current": Term(
        "what the newest evidence at hand stores as the value of an existing key; whether something uses it, no "
        "evidence shows"
    ),
    "gap": Term(
        "a part of the evidence inside the scope that was not read or not understood, with source, offset and length",
        "get an undamaged copy; as long as a gap remains, the result is inconclusive",
    ),
    "fragment": Term(
        "a readable value, or a part of one, that no row of the store accounts for: its etcd key, revision or end may "
        "be lost",
        "treat it as plaintext; defragmentation and new backups remove what lies in freed pages",
    ),
    "trailer": Term(
        "the SHA-256 over all bytes before it, which etcd appends to a snapshot that it sends. It matches: the file is "
        "whole and unchanged since; it says nothing of who made it. A member's own file has none (--raw)",
        "where it does not match, the file was cut, changed or is no snapshot: get another copy",
    ),
    "ledger": Term(
        "the account of every byte that the readers were given: structure of the format, rows (stored keys and "
        "values), empty, checksums, media of their own; what is unaccounted is searched for values, and what stays "
        "unknown is a gap"
    ),
    "sweep": Term(
        "a search of every hashed byte for the beginnings of readable values, which knows nothing of the readers' "
        "parse: what no row accounts for is a fragment"
    ),
    "hunt": Term("--hunt: a search for copies of the Secrets' values and for keys, in every object and every byte"),
    "self-test": Term(
        "a positive control: readable values in pages of our own, which every run must report",
        "where it fails, what the run did not find is unproven: report it",
    ),
    "baseline": Term("an earlier report, with which findings are compared: new, still there, or gone"),
    "kek": Term(
        "the key in a KMS that encrypts ('wraps') data keys; Kubernetes stores the wrapped data key in each value",
        "keep every KEK as long as a backup that names it may have to be restored",
    ),
    "exhibit": Term("one file, folder, archive or endpoint that is examined as one store, with its companions"),
    "redacted": Term(
        "names of namespaces, objects and uids stand as ordinals, or as pseudonyms that --redact-key makes alike in "
        "every report"
    ),
}
"""Terms that belong to no closed list."""
CODES = {
    "exit-0": Term(
        "no finding at or above --fail-on, and everything inside the scope was read and concluded",
        "read what was not examined: the result says nothing of it",
    ),
    "exit-1": Term(
        "a finding at or above --fail-on (medium, where it is not given) that --ignore does not accept",
        "take the steps of Next, in their order",
    ),
    "exit-2": Term(
        "bad usage, nothing readable, or an internal error: nothing was concluded",
        "the message on standard error names the option, or the file and its offset, and the way out",
    ),
    "exit-3": Term(
        "no such finding, and something inside the scope was not read or not concluded",
        "supply what Not examined lists: keys, files, a whole copy; --accept-partial accepts --quick and --range",
    ),
    "exit-130": Term("interrupted by Ctrl-C: nothing was concluded", "run it again"),
    "exit-141": Term("whoever read the output is gone, as of a pipe into `head`", "write a report, or read to the end"),
}
"""Meaning of each exit code."""
SEVERITIES = {
    "critical": "readable and current, or opened by a key that is known, or such a key itself",
    "high": "readable and not known to be current; or a value that the API server cannot read, or misreads",
    "medium": "not readable here, and not as the policy wants it; fails a run, as all above it, unless --fail-on says "
    "otherwise",
    "low": "worth knowing; does not fail a run, unless --fail-on low says so",
}
"""Meaning of each severity."""
STATES = {
    "tombstone": "etcd's record of a deletion: a key without a value",
    "head-lost": "the beginning was overwritten, and with it the etcd key where that is empty",
    "tail-lost": "the end was overwritten or lies on a page that is gone",
    "uncommitted": "a record of the log behind the last commit: its transaction may never have been answered",
    "not-yet-applied": "a committed record of the log that the database does not hold yet; it becomes current at the "
    "next start, and is judged so",
    "superseded": "a record of the log that the database, or a later record, has replaced",
    "bad-checksum": "a record whose checksum does not match: its bytes may be wrong",
    "encoded": "the value is text (base64, hex, escapes) in the file, and `offset` and `size` are those of the text",
}
"""Meaning of each word of the column `state`."""
CELLS = {
    "no-key": "decrypted: no key of this provider and name was supplied",
    "not-tried": "decrypted: a key may fit, and the value was not tried (--quick, or a KMS that was not asked)",
    "failed": "decrypted: the supplied key of this name does not decrypt the value",
    "part": "same_as_latest: some of the leftover's data values are those of its own current Secret",
    "elsewhere": "same_as_latest: some of the leftover's data values are those of other current Secrets",
    "unknown": "what could not be told: a revision that no byte states; same_as_latest where something that could hold "
    "the value was not read or decrypted; a provider that Kubernetes does not have",
    "out-of-scope": "judged: no rule of the policy is about this value",
}
"""Meaning of words that cells hold, by column."""
PROVIDERS = {
    "identity": "no encryption: the value is stored as it is",
    "aescbc": "AES-CBC with a key in the configuration: encrypted without integrity; CIS accepts it",
    "aesgcm": "AES-GCM with a key in the configuration: safe only with a key that is replaced before 200,000 writes",
    "secretbox": "XSalsa20 and Poly1305 with a key in the configuration: authenticated",
    "kms-v1": "a data key for each value, wrapped by a KMS; deprecated since Kubernetes 1.28",
    "kms-v2": "data keys derived from a seed, which a KMS wraps; the KEK's id stands beside it in clear (kek_id)",
}
"""Meaning of each provider."""
