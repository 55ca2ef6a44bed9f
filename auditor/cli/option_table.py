"""What any two options of a command do together: the one table, by which the command line is also checked.

Each option acts at one stage of a run. Two of different stages hold each by itself; two of one stage do what TOGETHER
says of it; what cannot hold together is in REFUSED, and what says nothing alone in NEEDS. None is left out without a
word.
"""

from collections.abc import Collection, Iterator
from enum import Enum
from typing import NamedTuple


class Stage(Enum):
    """What an option acts on."""

    READING = "what is read, and how much of it"
    SELECTION = "which values are judged"
    OPENING = "what values are decrypted with"
    POLICY = "what values are held to"
    LIVE = "how a live etcd is reached"
    HUNT = "what else is looked for"
    IDENTITY = "which evidence is accepted"
    COMPARISON = "what two exhibits are compared by"
    PACE = "how long a watch goes on"
    LISTING = "what reports say of the findings"
    OUTPUT = "which files are written"
    RUN = "how the run is done"


class Effect(Enum):
    """What two options do together."""

    BOTH = "both hold"
    REFUSED = "refused"
    NEEDED = "the first needs the second"


class Relation(NamedTuple):
    """What two options do together, and why."""

    effect: Effect
    why: str


TOGETHER = {
    Stage.READING: "what one of them leaves out is left out; each limit is kept",
    Stage.SELECTION: "resources under all of the prefixes",
    Stage.OPENING: "all keys are tried, whichever option they are of",
    Stage.POLICY: "each is checked on its own; a configuration that contradicts what is expected is refused, and named",
    Stage.LIVE: "each is used for every endpoint",
    Stage.HUNT: "everything is looked for that either names",
    Stage.IDENTITY: "each must be met",
    Stage.COMPARISON: "each is checked on its own",
    Stage.PACE: "the one that comes first ends the watch, or says something",
    Stage.LISTING: "one after the other: accepted, compared, given pseudonyms",
    Stage.OUTPUT: "each file is written; two of the same name are refused",
    Stage.RUN: "each is kept",
}
"""What two options of the same stage do."""

STAGES = {
    option: stage
    for stage, options in {
        Stage.READING: "--range --quick --accept-partial --wal-dir --before-wal-dir --after-wal-dir --max-unpacked "
        "--max-ratio --raw --carve --current --value-file --whole --at --source --since --sample --newest-per-cluster "
        "--retry-failed",
        Stage.SELECTION: "--resource --storage-prefix",
        Stage.OPENING: "--kms-plugin --kms --kms-budget --kms-prove --use-found-keys --k3s-token --current-config "
        "--clusters",
        Stage.POLICY: "--encryption-config --before-config --after-config --use-found-config --current-kek --expect "
        "--expect-before --compromised-key --fail-on --max-age --retention --restore-days",
        Stage.LIVE: "--endpoint --cacert --cert --key --server-name --user --password-file --timeout",
        Stage.HUNT: "--hunt --hunt-min-length --hunt-field",
        Stage.IDENTITY: "--expect-sha256 --expect-cluster --signers --tsa-roots",
        Stage.COMPARISON: "--again --same-content --different-clusters --any-order --compare-key --no-compare "
        "--new-compare-key --migration --from",
        Stage.PACE: "--once --for --every --stuck-after --patience",
        Stage.LISTING: "--baseline --ignore --redact-names --redact-key --case --examiner --reveal --yes "
        "--verbose --names --as-of --owners --owner-label --split-by --new-only",
        Stage.OUTPUT: "--keep --csv --inventory --html --json --sarif --remediation --dataset --rotation "
        "--junit --markdown --metrics --sign --timestamp --statement",
        Stage.RUN: "--work-dir --jobs --force --config --schema --retries --scheduler --tls-ca --tls-cert --tls-key "
        "--dashboard",
    }.items()
    for option in options.split()
}
"""The stage of each option of every command."""

_ONCE = "one read has no pace: leave out --once, or the other"
REFUSED = {
    frozenset(options.split()): why
    for options, why in {
        "--range --quick": "--range reads no file that --quick could leave out: give one of them",
        "--range --keep": "--range reads keys and no file: --keep needs the snapshot",
        "--range --expect-sha256": "--range reads keys and no file: --expect-sha256 needs the snapshot",
        "--range --wal-dir": "a live endpoint has no WAL to read: audit the member's data directory",
        "--keep --wal-dir": "a live endpoint has no WAL to read: audit the member's data directory",
        "--carve --quick": "--carve searches every byte of the file, which --quick leaves out: give one of them",
        "--carve --raw": "--raw is of a member's own file, and --carve of raw bytes: give one of them",
        "--carve --wal-dir": "raw bytes have no --wal-dir: it belongs to a data directory",
        "--carve --range": "--range reads keys and no file: --carve needs one",
        "--carve --keep": "--keep is of a live snapshot, and --carve of raw bytes: give one of them",
        "--quick --expect-sha256": "--expect-sha256 needs the hash that --quick leaves out: give one of them",
        "--redact-names --remediation": "the names of objects stand in the commands: leave one of the two out",
        "--encryption-config --before-config --after-config": "each side has a configuration of its own, and none is "
        "left for --encryption-config: give two of the three",
        "--compare-key --no-compare": "one keeps value ids, the other none: give one of them",
        "--once --for": _ONCE,
        "--once --every": _ONCE,
        "--once --stuck-after": _ONCE,
        "--once --patience": _ONCE,
    }.items()
}
"""Options that cannot hold together, two or more, and the reason."""
NEEDS = {
    "--accept-partial": ("--quick", "--range"),
    "--hunt-min-length": ("--hunt",),
    "--hunt-field": ("--hunt",),
    "--redact-key": ("--redact-names",),
    "--yes": ("--reveal", "--kms"),
    "--kms-budget": ("--kms",),
    "--kms-prove": ("--kms",),
    "--current-config": ("--current",),
    "--owners": ("--rotation",),
    "--owner-label": ("--rotation",),
    "--split-by": ("--rotation",),
    "--source": ("--at",),
    "--new-compare-key": ("--compare-key",),
    "--new-only": ("--baseline",),
    "--from": ("--migration",),
    "--tls-ca": ("--scheduler",),
    "--tls-cert": ("--scheduler",),
    "--tls-key": ("--scheduler",),
}
"""Options that say nothing without one of others."""


def relation(first: str, second: str) -> Relation:
    """What two options do together. Raises KeyError for an option that is not in the table."""
    stages = STAGES[first], STAGES[second]
    if why := REFUSED.get(frozenset((first, second))):
        return Relation(Effect.REFUSED, why)
    for one, other in ((first, second), (second, first)):
        if other in NEEDS.get(one, ()):
            return Relation(Effect.NEEDED, f"{one} says nothing without {' or '.join(NEEDS[one])}")
    if stages[0] is stages[1]:
        return Relation(Effect.BOTH, TOGETHER[stages[0]])
    return Relation(Effect.BOTH, f"each holds by itself: {'; '.join(sorted(stage.value for stage in stages))}")


def refusals(given: Collection[str], options_of_command: Collection[str]) -> Iterator[str]:
    """The reasons for which a command line is refused.

    Args:
        given: The options that stand on it.
        options_of_command: Those that the command has: what needs another is of use alone where there is none.
    """
    present = set(given)
    for options, why in REFUSED.items():
        if options <= present:
            yield f"{_listed(sorted(options))} cannot be given together: {why}"
    for option, others in NEEDS.items():
        if option in present and set(others) & set(options_of_command) and not present.intersection(others):
            yield f"{option} says nothing without {' or '.join(others)}: give it too, or leave {option} out"


def _listed(options: list[str]) -> str:
    return f"{', '.join(options[:-1])} and {options[-1]}"
