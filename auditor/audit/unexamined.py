"""Parts that an audit does not read or conclude on, beside the gaps of its readers."""

import base64
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

from auditor.arrays import parallel
from auditor.arrays.dtypes import Bools
from auditor.evidence import beginnings, configuration_texts, exhibit, reading
from auditor.evidence.discovery import bystanders
from auditor.judgement.criteria import Criteria
from auditor.judgement.policy import Policy
from auditor.judgement.selection import Selection
from auditor.kubernetes import prefixes
from auditor.kubernetes.registry import SECRET_ELSEWHERE
from auditor.kubernetes.resources import BUILT_IN
from auditor.kubernetes.store import Classified, Store
from auditor.model.audit import Audit
from auditor.model.evidence import Unexamined
from auditor.model.findings import Coverage
from auditor.model.vocabulary import Encoding, Opened, Place, Provider
from auditor.options import Options
from auditor.text import plural

STANDING = Unexamined(
    "the WAL, other members, other backups, old disk blocks", "this file cannot show them", decisive=False
)
STANDING_DIRECTORY = Unexamined(
    "other members, other backups, old disk blocks", "one member's directory cannot show them", decisive=False
)
STANDING_LIVE = Unexamined(
    "the WAL, other members, backups, old disk blocks", "a member does not hand them out", decisive=False
)
EVENTS = {"events", "events.events.k8s.io", "masterleases", "leases.coordination.k8s.io"}
"""What an etcd of events holds: Events, and what kube-apiserver keeps in each of its stores."""
EVENTS_ALONE = "this etcd holds nothing but events and leases: scan it together with the one that holds the rest"
OF_OTHERS = (
    "nothing in this etcd is of Kubernetes: scan it together with the one that holds the objects; "
    "or check --storage-prefix"
)
SETTLED = {EVENTS_ALONE, OF_OTHERS}
"""Reasons of an absence that other evidence settles."""


def standing(files: exhibit.Exhibit) -> Unexamined:
    """The part that evidence of this kind can never show."""
    if files.live:
        return STANDING_LIVE
    return STANDING_DIRECTORY if files.directory else STANDING


def companions(files: exhibit.Exhibit, known: Collection[bytes]) -> Iterator[Unexamined]:
    """Configurations beside the evidence of which something is not read: only keys are.

    known: the keys that were read in them.
    """
    read = {base64.b64encode(key).rstrip(b"=") for key in known}
    for file in files.companions:
        raw = bytes(file.map[: file.size])
        if not bystanders.is_text([configuration_texts.as_utf8(raw)]):
            reason = "a value begins in it, or it is no text, beside the configuration that is read: scan it by itself"
            yield Unexamined(file.name, reason, decisive=True)
        elif any(configuration_texts.local_keys(view) - read for view in configuration_texts.views(raw)):
            reason = "a key of an EncryptionConfiguration stands in it, in a form that is not read: look at it by hand"
            yield Unexamined(file.name, reason, decisive=True)


def unopened(selections: Sequence[Selection], criteria: Criteria) -> list[Unexamined]:
    """Encrypted values that no supplied key opens; decisive with a configuration, and under a compromised key."""
    counts: Counter[tuple[Provider, str]] = Counter()
    for values in selections:
        for number, size in parallel.value_counts(values.key_label[values.opened == Opened.NO_KEY]):
            counts[values.key_labels[number].pair] += size
    compromised = criteria.policy.compromised
    return [
        Unexamined(
            f"{plural(size, 'value')} under {'/'.join(part for part in pair if part)}",
            "claimed encrypted by prefix, not decrypted: no key"
            + "; --compromised-key names it" * (key in compromised),
            decisive=bool(criteria.configurations) or key in compromised,
        )
        for key, size in sorted(counts.items())
        for pair in ((key[0].label, key[1]),)
    ]


def untried(selections: Sequence[Selection], criteria: Criteria) -> list[Unexamined]:
    """Encrypted values whose KMS was not asked, or said nothing of their data keys."""
    counts: Counter[tuple[Provider, str, str]] = Counter()
    for values in selections if criteria.clients else ():
        for row in np.flatnonzero(values.untried).tolist():
            counts[*values.key_labels[values.key_label[row]].pair, values.reasons.get(row, "")] += 1
    return [
        Unexamined(f"{plural(size, 'value')} under {provider.label}/{name}", f"not tried: {reason}", decisive=True)
        for (provider, name, reason), size in sorted(counts.items())
    ]


def left_out(evidence: reading.Reading, options: Options) -> list[Unexamined]:
    """The parts that the readers leave out, and the hashes that --quick does not compute."""
    accepted = options.quick and options.accept_partial
    parts = [replace(part, decisive=part.decisive and not accepted) for part in evidence.unexamined]
    if options.quick:
        parts.append(
            Unexamined("the file's hashes", "--quick: neither its SHA-256 nor a trailer was checked", not accepted)
        )
    return parts


def absent(coverage: Sequence[Coverage], store: Store, options: Options, *, damaged: bool = False) -> list[Unexamined]:
    """Resources of the options without an object: a wrong name, a wrong prefix, or an empty cluster.

    Args:
        coverage: Counts of every resource.
        store: All values of the evidence.
        options: What is audited.
        damaged: Whether something of the evidence could not be read, in which they may stand.
    """
    present = {row.resource for row in coverage if not row.exempt and row.resource}
    seen = ", ".join(sorted({row.prefix for row in coverage if row.prefix})) or "none"
    where = f"(prefixes seen: {seen})"
    if options.storage_prefixes:
        where = f"under {', '.join(options.storage_prefixes)}"
    reason = f"nothing of this resource is stored {where}; check the name and --storage-prefix"
    if damaged:
        reason = f"nothing of this resource is in what could be read {where}; it may stand in the rest (see the gaps)"
    elif holds_events_alone(coverage, options):
        reason = EVENTS_ALONE
    elif not options.storage_prefixes and _is_of_others(store):
        reason = OF_OTHERS
    return [
        Unexamined(f"{name}: no object", f"{reason}{_similar(name, present)}", True)
        for name in options.resources
        if (not present if name == "*" else name.rstrip(".") not in present)
    ]


def _is_of_others(store: Store) -> bool:
    """Whether an etcd has values, none of which is of Kubernetes: under a storage prefix, or looking like an object."""

    def is_foreign(part: Classified) -> bool:
        batch = part.batch
        own = ~part.outside | prefixes.likely(batch, part.prefixes)
        own |= batch.data.starts_with(batch.key_at, batch.key_len.astype(np.int64), b"/registry/")
        return not (part.stores & own).any()

    return any(map(len, store.parts)) and all(map(is_foreign, store.parts))


def _similar(name: str, present: set[str]) -> str:
    """The resource that was meant: a plural, or a name close to one that is stored or built in."""
    known = sorted(present | set(BUILT_IN.values()))
    lowered = name.rstrip(".").lower()
    close = [each for each in (f"{lowered}s", f"{lowered}es") if each in known] or get_close_matches(lowered, known, 1)
    return f"; did you mean {close[0]}?" if close and close[0] != lowered else ""


def settled(audits: Sequence[Audit]) -> list[Audit]:
    """Audits of which one of events alone, or of another program, is not open, where another has the resources."""
    present = {row.resource for audit in audits for row in audit.coverage if not row.exempt}

    def settle(part: Unexamined) -> Unexamined:
        name = part.what.partition(":")[0].rstrip(".")
        elsewhere = part.reason in SETTLED and (name in present or (name == "*" and len(present) > 1))
        return replace(part, decisive=False) if elsewhere else part

    return [replace(audit, unexamined=tuple(map(settle, audit.unexamined))) for audit in audits]


def holds_events_alone(coverage: Sequence[Coverage], options: Options) -> bool:
    """Whether an etcd is the one of events or of leases: nothing but Events and leases, under storage prefixes.

    kube-apiserver's --etcd-servers-overrides puts them into an etcd of their own; kops and Gardener do so with events.
    """
    names = {row.resource for row in coverage if not row.exempt and (row.resource or options.storage_prefixes)}
    return bool(names) and names <= EVENTS


def elsewhere(store: Store, options: Options) -> list[Unexamined]:
    """Values under no storage prefix: those that look like Kubernetes', and those with keys overwritten by zeros."""
    count = lost = secrets = 0
    elsewhere = np.array([resource == SECRET_ELSEWHERE for resource in store.resources], np.bool_)
    for part in store.parts:
        batch, claims = part.batch, part.prefixes
        secrets += int(elsewhere[part.resource].sum())
        outside = part.outside & part.stores & (batch.key_at >= 0)
        likely = (claims.provider > Provider.IDENTITY) | (claims.encoding == Encoding.PROTOBUF)
        count += int((outside & likely).sum())
        unlikely = np.flatnonzero(outside & ~likely & (batch.key_len > 0))
        lost += int((batch.data.words(batch.key_at[unlikely]) & np.uint64(0xFF) == 0).sum())
    parts = []
    if count:
        reason = "they look like Kubernetes objects; name their prefix with --storage-prefix"
        subject = f"{plural(count, 'value')} under no storage prefix"
        parts.append(Unexamined(subject, reason, decisive=not options.storage_prefixes))
    if secrets:
        reason = "under none of the storage prefixes named: not judged"
        parts.append(Unexamined(plural(secrets, "readable Secret"), reason, decisive=True))
    if lost:
        reason = "their keys are overwritten, and their bytes do not say what they are"
        parts.append(Unexamined(f"{plural(lost, 'value')} under keys that begin with a zero", reason, decisive=True))
    return parts


def disguised(store: Store, judged: Bools) -> list[Unexamined]:
    """Values of no known encoding under the keys of other resources, in which a readable one begins all the same."""
    count = 0
    for part in store.parts:
        rows = part.stores & (part.prefixes.provider == Provider.UNKNOWN) & ~judged[part.resource]
        rows &= part.batch.key_at >= 0
        count += sum(beginnings.in_value(part.batch.value(row)) for row in np.flatnonzero(rows).tolist())
    if not count:
        return []
    reason = "their keys name nothing that must be encrypted, and a readable object begins in them"
    return [Unexamined(f"{plural(count, 'value')} of no known encoding", reason, decisive=True)]


def ungrouped(store: Store, judged: Bools, policy: Policy) -> list[Unexamined]:
    """Resources of no table whose group nothing readable states, where a rule may be of them."""
    return [
        Unexamined(
            f"{resource.name}: its group is unknown",
            "its path is in no table and none of its objects is readable: whether a rule covers it cannot be told",
            decisive=True,
        )
        for resource, chosen in zip(store.resources, judged.tolist(), strict=True)
        if resource.unlisted and not chosen and policy.may_cover(resource.name)
    ]


def unidentified(selections: Sequence[Selection], criteria: Criteria) -> list[Unexamined]:
    """Fragments of unknown resource or provider, but for those that open, or that unopened() counts.

    What claims to be encrypted and does not open with the key of its name is decisive where a configuration was given.
    """
    encrypted: Counter[Place] = Counter()
    others: Counter[Place] = Counter()
    size: Counter[Place] = Counter()
    for values in selections:
        for row in np.flatnonzero(~values.identified).tolist():
            place = Place(int(values.batch.place[row]))
            if values.prefixes.provider[row] > Provider.IDENTITY:
                encrypted[place] += int(values.opened[row] not in {Opened.YES, Opened.NO_KEY})
            else:
                others[place] += 1
                size[place] += int(values.batch.value_len[row])
    parts = [
        Unexamined(
            f"{plural(count, 'fragment')} in {place.label}, {size[place]:,} bytes",
            "parts of values, or damaged ones: what they belong to cannot be told; see --inventory",
            decisive=True,
        )
        for place, count in sorted(others.items())
    ]
    parts += [
        Unexamined(
            f"{plural(count, 'encrypted value')} in {place.label} without {'its' if count == 1 else 'their'} etcd key",
            "not decrypted by the key of this name, or a part is lost; defragmentation and a new backup settle it",
            decisive=bool(criteria.configurations),
        )
        for place, count in sorted(encrypted.items())
        if count
    ]
    return parts
