"""The conclusion in sentences, which all reports share: the verdict, what weakens it, what is in use, what is next."""

from collections.abc import Sequence
from typing import NamedTuple

from auditor.model.audit import Audit, ExhibitSummary
from auditor.model.vocabulary import EXPORTS, FindingKind, Place, Severity, Verdict
from auditor.reports import causes, currency
from auditor.reports.words import plural


def sentences(audit: Audit, fail_on: Severity) -> list[str]:
    """The conclusion in a few sentences: the verdict with the exit code first, then what weakens it."""
    outcome, tally = audit.verdict(fail_on), audit.tally
    standing = [_readable(audit)] if tally.readable else []
    others_ = others(audit)
    if outcome is Verdict.FINDINGS:
        head = f"FINDINGS: {standing[0] if standing else others_}"
        head += "" if audit.complete else f", and inconclusive: {plural(open_points(audit), 'gap')}"
    elif outcome is Verdict.ACCEPTED:
        head = f"ACCEPTED FINDINGS: {'; '.join(filter(None, [*standing, others_]))}{_acceptance(audit, fail_on)}"
    elif outcome is Verdict.INCONCLUSIVE:
        grave = any(severity >= Severity.MEDIUM for _, severity, _ in tally.findings)
        let_pass = f"{'; '.join(filter(None, [*standing, others_]))}{_acceptance(audit, fail_on)}"
        none = "no findings in what was examined, and not everything was"
        head = f"INCONCLUSIVE: {f'{let_pass}; not everything was examined' if grave else none}"
    else:
        head = "NO FINDINGS in what was examined"
    lines = [f"{head} (exit {audit.exit_code(fail_on)})"]
    lines += [f"The result is weakened by {options}."] if (options := weakening(audit, fail_on)) else []
    lines += [f"Connections are made by {options}."] if (options := connecting(audit)) else []
    lines += currency.sentences(audit) if tally.readable else []
    lines += [f"Also: {others_}."] if others_ and others_ not in head else []
    return [*lines, *accepted(audit)]


def open_points(audit: Audit) -> int:
    """The number of gaps, and of other parts inside the scope that were not examined."""
    return len(audit.gaps) + sum(part.decisive for part in audit.unexamined)


_SECRETS = {"secrets", "secrets.", "*", "*.", "*.*"}
"""Resources of --resource that Secrets are of."""


def weakening(audit: Audit, fail_on: Severity) -> str:
    """The options that make the result weaker, separated by commas; empty where there are none."""
    options = dict(audit.run.options)
    flags = {"accept_partial": "--accept-partial", "quick": "--quick", "range_only": "--range"}
    names = [f"--fail-on {fail_on.label}"] if fail_on > Severity.MEDIUM else []
    names += ["--ignore"] if options.get("ignore") else []
    names += [flag for name, flag in flags.items() if options.get(name)]
    names += ["--expect plaintext"] if options.get("expect") == "plaintext" else []
    given = options.get("resources")
    names += ["--resource without secrets"] if isinstance(given, tuple) and not _SECRETS & set(given) else []
    origins = dict(audit.run.origins)
    return ", ".join(f"{name} ({origin})" if (origin := origins.get(name.split()[0])) else name for name in names)


def connecting(audit: Audit) -> str:
    """The options that connect to something, and that the command line does not hold, with their origins."""
    return ", ".join(f"{name} ({origin})" for name, origin in audit.run.origins if name in CONNECTING)


def _acceptance(audit: Audit, fail_on: Severity) -> str:
    """The options that let findings of medium severity or above pass, and the number of them."""
    accepted_ = sum(count for _, severity, count in audit.tally.accepted if severity >= Severity.MEDIUM)
    every = sum(count for _, severity, count in audit.tally.findings if severity >= Severity.MEDIUM)
    parts = [f"{accepted_:,} by --ignore"] if accepted_ else []
    parts += [f"{every - accepted_:,} by --fail-on {fail_on.label}"] if every > accepted_ else []
    return f", accepted: {', '.join(parts)}"


def _readable(audit: Audit) -> str:
    """The readable values, the objects that they are of, and their places."""
    tally = audit.tally
    what = f" of {_objects(audit)}" if tally.objects else ""  # a fragment may be of any object
    each = ", counted in each evidence item" if what and len(audit.parts) > 1 else ""
    return f"{plural(tally.readable, 'readable value')}{what}{each}, {_places(tally.readable_places)}"


def accepted(audit: Audit) -> list[str]:
    """The number of accepted findings, in a sentence; nothing where there is none."""
    count = sum(count for *_, count in audit.tally.accepted)
    if not count:
        return []
    return [f"Findings of {plural(count, 'value')} are accepted by --ignore: counted, without effect on the exit code."]


def secrets_alone(audit: Audit) -> bool:
    """Whether all that was selected are Secrets: a Pod or a Lease is no credential."""
    return set(audit.resources) == {"secrets"}


def _objects(audit: Audit) -> str:
    resources = audit.resources
    noun = (
        {"secrets": "Secret", "configmaps": "ConfigMap"}.get(resources[0], "object")
        if len(resources) == 1
        else "object"
    )
    return plural(audit.tally.objects, noun)


def _places(places: tuple[Place, ...]) -> str:
    names = ["freed pages" if place is Place.FREED else place.label for place in places]
    if len(names) == 1:
        return f"all in {names[0]}"
    return f"in {', '.join(names[:-1])} and {names[-1]}"


def others(audit: Audit) -> str:
    """Findings other than plaintext, counted."""
    return ", ".join(
        f"{plural(count, 'value')} {finding.label} ({severity.label})"
        for finding, severity, count in audit.tally.findings
        if finding is not FindingKind.PLAINTEXT
    )


CONNECTING = frozenset({"--endpoint", "--kms", "--kms-plugin", "--current", "--scheduler", "--timestamp", "--user"})
"""Options by which the program connects to something."""
ENCRYPT_FIRST = "put an encrypting provider first, so that new writes are encrypted"
RUN_WITH_IT = "make sure that every API server runs with the configuration given here, whose write provider encrypts"
HOLDER = "whoever holds this evidence"
API_SERVERS = "who runs the API servers"
OWNERS = "the owners of the Secrets"
STORE = "who runs the store"


class Step(NamedTuple):
    """One of the next steps."""

    who: str
    """Who takes it."""
    what: str
    holders: bool = False
    """Whether it is of the leftovers that hold what is current, and of no other readable value."""


def next_steps(audit: Audit) -> list[str]:
    """The next steps, the evidence and the credentials first."""
    return [step.what for step in steps(audit)]


def steps(audit: Audit) -> list[Step]:
    """The next steps with those who take them."""
    preserve = Step(HOLDER, "preserve this evidence")
    unreadable = [Step(API_SERVERS, what) for what in _unreadable(audit)]
    keys = [Step(API_SERVERS, what) for what in _exposed_keys(audit)]
    if not audit.tally.readable:
        return [preserve, *unreadable, *keys] if keys else unreadable
    following = causes.next_of(audit)
    older = older_states(audit.parts)
    standing = [part for part in audit.parts if part.name not in older]
    of_parts = sorted({place for part in standing for place in part.readable_places})
    places = of_parts if audit.parts else audit.tally.readable_places
    found = [preserve, *unreadable, *keys]
    exported = audit.evidence.kind in EXPORTS
    if exported:
        found.append(Step(HOLDER, following[Place.LATEST]))
    elif Place.LATEST in places:  # else what is rotated is stored in the clear again
        configure = RUN_WITH_IT if audit.encrypts else ENCRYPT_FIRST
        found += [Step(API_SERVERS, configure), Step(API_SERVERS, following[Place.LATEST])]
    found.append(_rotate(audit))
    if holding := sum(part.name in older and part.readable > 0 for part in audit.parts):
        found.append(Step(HOLDER, f"restrict access to {plural(holding, 'older evidence item')}"))
    on_store = [Step(STORE, following[place]) for place in places if place in following and place is not Place.LATEST]
    if not exported and not causes.is_kine(audit) and {Place.LATEST, Place.HISTORY, Place.DELETED} & set(places):
        on_store.append(Step(STORE, causes.NEXT_PLACE[Place.FREED]))
    found = list({step.what: step for step in (*found, *on_store)}.values())
    if places and not exported:
        found[-1] = found[-1]._replace(what=f"{found[-1].what}, then take and audit new backups")
    return found


def older_states(parts: Sequence[ExhibitSummary]) -> frozenset[str]:
    """Names of the evidence items of which another is a later state of the same cluster: nothing done to the store
    changes them.
    """
    newest: dict[str, int] = {}
    for part in parts:
        newest[part.cluster] = max(newest.get(part.cluster, 0), part.revision)
    return frozenset(part.name for part in parts if part.cluster and 0 < part.revision < newest[part.cluster])


def _rotate(audit: Audit) -> Step:
    """The step that makes the readable credentials worthless."""
    own = currency.current(audit) and audit.current is None
    holders = audit.tally.objects_of_holders if not (own or audit.tally.undetermined) else 0
    count = holders or audit.tally.objects
    if not count:
        what = "rotate what the readable values hold"
    elif len(audit.parts) > 1:  # an object counts in each evidence item
        what = "rotate the credentials that the readable values hold, each once"
    elif secrets_alone(audit):
        current = f" that {'is' if count == 1 else 'are'} current" if holders else ""
        what = f"rotate the credentials of {plural(count, 'Secret')}{current}"
    else:
        what = f"rotate the credentials that the {plural(count, 'object')} may hold, Secrets first"
    return Step(OWNERS, what, holders=bool(holders))


def _exposed_keys(audit: Audit) -> list[str]:
    """The step for encryption keys that whoever holds the evidence has too."""
    present = any(kind is FindingKind.KEY_PRESENT for kind, *_ in audit.tally.findings)
    return [
        "replace each key that is present (key-present): write with a new one, rewrite, remove its copies"
    ] * present


def _unreadable(audit: Audit) -> list[str]:
    """The step for values that no key at hand reads: the configurations that were in force when they were written."""
    kinds = {kind for kind, *_ in audit.tally.findings} & {FindingKind.UNDECRYPTABLE, FindingKind.ORPHANED}
    if not kinds:
        return []
    oldest, newest = audit.tally.unreadable or (None, None)
    when = "when the values that cannot be read were written"
    if oldest is not None and newest is not None:
        which = f"revision {oldest:,}" if oldest == newest else f"revisions {oldest:,} to {newest:,}"
        when = f"at {which}, where the values that cannot be read were written"
    return [f"look for the configuration of each API server as it was {when}"]


def explained(audit: Audit) -> list[str]:
    """The words of the summary that `etcd-auditor explain` explains, findings first."""
    kinds = dict.fromkeys(kind.label for kind, _, _ in audit.tally.findings)
    places = [place.label for place in audit.tally.readable_places]
    return [*kinds, *places, *(["gap"] if audit.gaps else [])]
