"""The sentences of the page of error rates."""

INTRODUCTION = """# Measured error rates

How often the auditor was wrong in an experiment that anyone can repeat: {worlds} random worlds ({kinds}), {checks}
checks, {missed} missed. Made by `python -m tests.validation --table` from `tests/validation/results.jsonl`: no figure
is written by hand.

A world is a real etcd, or SQLite or a real dqlite written with kine's statements, under a random workload: Secrets of
15 bytes to 20 KB are created, updated, deleted, written anew; providers and keys are rotated, half way too (identity,
aescbc, aesgcm, secretbox, kms v1 and v2, each with what its KMS knows); other resources take the freed pages; the store
is compacted, defragmented (kine: VACUUM), restarted, and killed with SIGKILL. Every byte that was ever written is kept
as the truth. Then the evidence is audited with its keys: of etcd a snapshot, two in five taken while the workload goes
on, and the data directory after a stop or a SIGKILL; of kine the database with its log; of dqlite the data directory
after a stop or a SIGKILL; and dumps in hex that a real PostgreSQL or MariaDB makes of kine's rows, which hold nothing
but what the store shows. Seeds {seeds}. {versions}.

`python -m tests.validation --seeds 17-17 --results FILE` makes the world of one seed again: the same workload; pages
and times that etcd chooses differ between runs. `tests/validation/test_validation.py` runs twenty worlds with every
suite, and shows of each measure that it sees what is wrong.

**rate, at most** is the upper bound of the exact 95 % interval (Clopper-Pearson): 0 of n is about 3/n to one side,
3.7/n to both, and never nothing. Cases of one world are not independent of each other; read it as an order of
magnitude. A laboratory that validates the program under SWGDE's recommendations or ISO/IEC 17025 repeats it with its
own builds.
"""
MEASURES = {
    "recall": "Every put that the store shows (what etcd's API would return at its revision and before it, as far as "
    "it is not compacted; what SQLite itself shows of kine) is a row with its key and its revision. `wal`: every put "
    "that was ever acknowledged is a row of the log, with its key and its bytes (not the last put before a SIGKILL, "
    "where no segment holds its bytes: etcd 3.5.1 alone in its cluster acknowledges before it writes its log).",
    "place": "Its row has the right place.",
    "bytes": "`offset`, `size` and `extents` of its row lead to exactly the bytes that were stored.",
    "provider and key": "Its row names the provider and the key that wrote it.",
    "decrypted": "It is readable, or decrypted with the keys that were supplied.",
    "no other row is shown": "No row says that the store shows a value which it does not.",
    "key counts": "`keys` counts as many latest values under each key as there are.",
    "readable parts": "Every run of bytes of a readable value that stands anywhere in the files, searched for with one "
    "regular expression and no parser, begins and ends in a row. What is left around it: all of the value, its "
    "beginning (its end was written over, or lies in another page), or neither.",
    "ciphertexts": "Every beginning of a ciphertext that stands anywhere in the files lies in a row.",
    "false whole value": "A row without a word about what is lost is a value that was written, byte for byte.",
    "key": "The etcd key of a row, where it has one, is that of a write of its content.",
    "revision": "The mod revision of a row, where it has one, is that of such a write.",
    "same_as_latest": "Decided by value, it is what follows from all that is current. Rows that say `unknown` are "
    "not counted, nor are those that no key decrypts.",
}
"""The measures, in the order of the page, and what each says."""
REMAINS = """
## What is left of what was superseded

No error rate: what an auditor is up against. Readable values that the store shows no more, by the revisions that were
written since they were replaced or deleted, and how many of them have left any byte in the files.
"""
MISSES = """
## Every miss, explained
"""
_CHAIN = (
    "A value in a freed page of SQLite that goes on in overflow pages, one of which holds another value by now: SQLite "
    "frees a chain without wiping the number of its next page, and nothing in the file says whether that page is still "
    "its own. The row names the key and the revision of the record's beginning, which is intact; the bytes of its "
    "later `extents` are another value's. Where keys are supplied a ciphertext does not decrypt then: the row says so."
)
_BEGINNING = (
    "A freed page of SQLite that was written over in part: the record's header (name, revision, lengths) is intact and "
    "its value is not; the row is of provider `unknown` or does not decrypt, and what it holds is of another key."
)
_EDGE = (
    "The part is a row, which ends (once: begins) one to four bytes beside what is left of the value, where the header "
    "of another of SQLite's cells stands: so in each case that was looked at (seeds 777, 1307, 1657, 1671, 1787, 1819)."
)
EXPLANATIONS = {
    **dict.fromkeys((f"kine|readable parts|{place}" for place in ("freed", "slack", "wal")), _EDGE),
    "kine|false whole value|freed": _CHAIN,
    "kine|key|freed": f"{_CHAIN} Or: {_BEGINNING[0].lower()}{_BEGINNING[1:]}",
    "kine|revision|freed": f"{_CHAIN} Or: {_BEGINNING[0].lower()}{_BEGINNING[1:]}",
    **dict.fromkeys(
        ("kine|key|wal", "kine|revision|wal"),
        f"In an image of a page that a later frame of the log replaces: {_BEGINNING[0].lower()}{_BEGINNING[1:]}",
    ),
    "kine|ciphertexts|freed": "Of the case that was looked at (seed 231): the last page of a freed chain holds the end "
    "of one value, and behind it, whole but without its record, a ciphertext from an earlier use of the page. It is no "
    "row: what lies behind the end of a chain is searched for readable values, of which none was missed. Nobody "
    "without the key can read it, and `keys` counts one value fewer.",
}
"""By evidence, measure and place, as `EVIDENCE|MEASURE|PLACE`."""
VOID = """
## Worlds without a truth

{count} more worlds are void and counted nowhere: after a restart the store answered with another revision than it had
acknowledged. etcd 3.5.0 to 3.5.2 do so where they are killed at the wrong moment (they apply entries of the log twice:
the etcd project's own warning of data inconsistency). What is in such a member is not what its clients were told.
"""
LIMITS = """
## What these figures do not show

* Other builds: etcd 3.6, PostgreSQL, MySQL, dqlite and kine's own program are not among them. kine's statements are run
  by Python's SQLite.
* Damaged or adversarial evidence: `tests/fuzz`, `tests/evidence/test_damage.py` and `docs/planting.md` are for that.
* Secrets stored as JSON or CBOR, storage prefixes other than `/registry`, several clusters in one etcd.
* Dumps, Gardener's objects, live endpoints and containers, whose readers are tested case by case.
* Stores of gigabytes, and years of page reuse: a world has at most some hundred revisions, and its values are random
  letters. Rates for freed pages and slack hold for this workload.
* Values that an audit has no keys for, `--hunt`, `--current`, `--quick`.
* Old disk blocks, other members, other backups: no file shows them.
* This exhibit. A rate over random worlds is no probability that one report is right.
"""
