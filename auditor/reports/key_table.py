"""The keys that the evidence needs, as a table and as JSON."""

import json
from typing import IO, Any

from auditor.model import exit_codes
from auditor.model.audit import Audit
from auditor.model.findings import BootstrapRecord, KeyUsage
from auditor.model.vocabulary import Place, Provider
from auditor.reports import json_sections, keks, seals
from auditor.reports.words import plural

HEADER = ["provider", "key", "KEK id", "values", "in", "decrypted", "revisions", "needed"]


def table(audit: Audit) -> list[list[str]]:
    """One row a key, in the order of HEADER; readable values have none."""
    return [
        [
            usage.provider.label,
            (usage.key_name or "?") + (f" of {usage.origin}" if usage.origin else ""),
            kek(usage),
            f"{usage.values:,}",
            ", ".join(f"{place.label} {count:,}" for place, count in usage.places),
            f"{usage.opened:,}" if usage.values else "-",
            f"{usage.oldest:,}-{usage.newest:,}" if usage.oldest is not None else "-",
            needed(audit, usage),
        ]
        for usage in audit.keys
        if usage.provider is not Provider.IDENTITY
    ]


def kek(usage: KeyUsage) -> str:
    """The KEK's id, and its version where the wrapped data keys name one."""
    return ", ".join(filter(None, (usage.kek_id, usage.kek_version)))


def needed(audit: Audit, usage: KeyUsage) -> str:
    """`needed by N values`, `nothing read in this evidence needs it` or `unproven`; never that it may go."""
    if usage.values:
        # an unplaced value may be current
        leftovers = "" if {Place.LATEST, Place.UNPLACED} & set(dict(usage.places)) else ", leftovers only"
        return f"needed by {plural(usage.values, 'value')}{leftovers}"
    return "nothing read in this evidence needs it" if audit.complete else "unproven: not everything was read"


def failures(audit: Audit) -> list[str]:
    """A sentence for each name under which values are that the keys supplied do not open."""
    return [
        f"{_share(opened, count)} under {label} {'are' if opened > 1 else 'is'} decrypted by the key "
        f"supplied: another key of this name is needed{' too' if opened else ''}"
        for label, count, opened, failed in _by_name(audit)
        if failed
    ]


def untried(audit: Audit) -> list[str]:
    """A sentence for each name under which values are on which no key could be tried."""
    return [
        f"nothing could be tried on {plural(count, 'value')} under {label}: its key was not supplied"
        for label, count, opened, failed in _by_name(audit)
        if count and not opened and not failed
    ]


def bootstrap(audit: Audit) -> list[str]:
    """A sentence for each record that k3s or RKE2 keeps: a restore needs the server token that encrypts it."""
    return [_bootstrap(record) for record in audit.bootstrap]


def bootstrap_fails(audit: Audit) -> bool:
    """Whether the server token supplied is not the one that the evidence needs."""
    records = [record for record in audit.bootstrap if record.tried]
    opens = any(record.opened and not record.tokenless for record in records)
    return any(record.named and record.opened < record.values for record in records) or (bool(records) and not opens)


def _bootstrap(record: BootstrapRecord) -> str:
    count = plural(record.values, "value")
    head = f"{record.key}, k3s' or RKE2's own record of its configuration, has {count}"
    if record.tokenless and record.opened:
        outcome = f"{record.opened:,} of {record.values:,} are decrypted with an empty server token: anyone can"
    elif not record.tried:
        outcome = "a restore needs the server token that encrypts it, and --k3s-token was not given"
    elif record.opened:
        outcome = f"--k3s-token decrypts {record.opened:,} of {record.values:,}"
    else:
        named = "though its name is that of this token" if record.named else "another server token is needed"
        outcome = f"--k3s-token decrypts none of them, {named}"
    keys = f"; encryption keys in it: {', '.join(record.keys) or 'none'}" if record.opened else ""
    return f"{head}: {outcome}{keys}"


def _share(opened: int, count: int) -> str:
    if opened:
        return f"{opened:,} of {plural(count, 'value')}"
    return f"none of {plural(count, 'value')}"


def _by_name(audit: Audit) -> list[tuple[str, int, int, int]]:
    """Label of each provider and key name, and the numbers of its values, of opened ones and of those that fail."""
    totals: dict[str, list[int]] = {}
    for usage in audit.keys:
        if usage.provider > Provider.IDENTITY:
            total = totals.setdefault("/".join(filter(None, (usage.provider.label, usage.key_name))), [0, 0, 0])
            for position, number in enumerate((usage.values, usage.opened, usage.failed)):
                total[position] += number
    return [(label, values, opened, failed) for label, (values, opened, failed) in totals.items()]


def exit_code(audit: Audit) -> int:
    """1 where a key that was supplied fails on values that name it, 3 where not everything was read, else 0."""
    return exit_codes.of(failed=bool(failures(audit)) or bootstrap_fails(audit), complete=audit.complete)


def sentences(audit: Audit, *, supplied: bool) -> list[str]:
    """What is said of the keys. supplied: whether any were, so that those that were not tried are worth a word."""
    tried = [*failures(audit), *(untried(audit) if supplied else [])]
    return [*tried, *bootstrap(audit), *keks.sentences(audit), *under_none(audit)]


def under_none(audit: Audit) -> list[str]:
    """How many values of all resources are stored without encryption, and where."""
    return [
        f"{plural(usage.values, 'value')} of all resources {'is' if usage.values == 1 else 'are'} under no key: "
        + ", ".join(f"{place.label} {count:,}" for place, count in usage.places)
        for usage in audit.keys
        if usage.provider is Provider.IDENTITY and usage.values
    ]


def entries(audit: Audit) -> list[dict[str, Any]]:
    """One entry a key, and one for values that are readable without any; plain values only."""
    return [
        {
            "provider": usage.provider.label,
            "key_name": usage.key_name,
            "origin": usage.origin,
            "kek_id": usage.kek_id,
            "kek_version": usage.kek_version,
            "kek": keks.entry(usage),
            "answered": list(usage.answered),
            "places": {place.label: count for place, count in usage.places},
            "resources": list(usage.resources),
            "oldest": usage.oldest,
            "newest": usage.newest,
            "values": usage.values,
            "decrypted": usage.opened,
            "failed": usage.failed,
            "configured": usage.configured,
            "objects": list(usage.objects),
            "needed": needed(audit, usage),
        }
        for usage in audit.keys
    ]


def document(audit: Audit, code: int) -> dict[str, Any]:
    """The document, of plain values only. code: the exit code."""
    sections: dict[str, Any] = {
        "format": "etcd-auditor keys",
        "version": 2,
        "name": audit.evidence.name,
        "exit_code": code,
        "evidence": audit.evidence.sha256,
        "sources": json_sections.files(audit.evidence),
        "keys": entries(audit),
        **({"plugins": keks.plugins(audit)} if audit.plugins else {}),
        **json_sections.calls_made(audit.run.kms),
        "bootstrap": [
            {
                "key": record.key,
                "values": record.values,
                "places": {place.label: count for place, count in record.places},
                "tried": record.tried,
                "named": record.named,
                "decrypted": record.opened,
                "tokenless": record.tokenless,
                "keys": list(record.keys),
            }
            for record in audit.bootstrap
        ],
    }
    return {**sections, "hashes": seals.seal_sections(sections)}


def write(audit: Audit, code: int, out: IO[str]) -> None:
    json.dump(document(audit, code), out, indent=1)
    out.write("\n")
