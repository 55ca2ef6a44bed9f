"""Which keys the evidence needs, as a table and as JSON."""

import json
from typing import IO, Any

from auditor.model.audit import Audit
from auditor.model.findings import KeyUsage
from auditor.model.vocabulary import Place, Provider
from auditor.reports.words import plural

HEADER = ["provider", "key", "KEK id", "values", "in", "opened", "revisions", "needed"]


def table(audit: Audit) -> list[list[str]]:
    """One row a key, in the order of HEADER; readable values have none."""
    return [
        [
            use.provider.label,
            use.key_name or "?",
            use.kek_id,
            f"{use.values:,}",
            ", ".join(f"{place.label} {count:,}" for place, count in use.places),
            f"{use.opened:,}" if use.values else "-",
            f"{use.oldest:,}-{use.newest:,}" if use.oldest is not None else "-",
            needed(audit, use),
        ]
        for use in audit.keys
        if use.provider is not Provider.IDENTITY
    ]


def needed(audit: Audit, use: KeyUsage) -> str:
    """`needed by N values`, `nothing read in this evidence needs it` or `unproven`; never that it may go."""
    if use.values:
        # of what no root leads to, it is not known that it is left over
        left = "" if {Place.LATEST, Place.UNPLACED} & set(dict(use.places)) else ", leftovers only"
        return f"needed by {plural(use.values, 'value')}{left}"
    return "nothing read in this evidence needs it" if audit.complete else "unproven: not everything was read"


def entries(audit: Audit) -> list[dict[str, Any]]:
    """Plain values, one entry a key and one for what is readable without any."""
    return [
        {
            "provider": use.provider.label,
            "key_name": use.key_name,
            "kek_id": use.kek_id,
            "places": {place.label: count for place, count in use.places},
            "resources": list(use.resources),
            "oldest": use.oldest,
            "newest": use.newest,
            "values": use.values,
            "opened": use.opened,
            "configured": use.configured,
            "objects": list(use.objects),
            "needed": needed(audit, use),
        }
        for use in audit.keys
    ]


def write(audit: Audit, out: IO[str]) -> None:
    document = {
        "format": "etcd-auditor keys",
        "version": 1,
        "evidence": audit.evidence.sha256,
        "keys": entries(audit),
    }
    json.dump(document, out, indent=1)
    out.write("\n")
