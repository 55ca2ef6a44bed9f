"""The encryption keys of several exhibits, merged into one list."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from auditor.model.audit import Audit
from auditor.model.findings import KeyUsage
from auditor.model.kms import Kek
from auditor.model.vocabulary import Provider


def merge(audits: Sequence[Audit]) -> tuple[KeyUsage, ...]:
    """The usage of each key in all; revisions are left out, since those of different stores do not compare."""
    groups: dict[tuple[tuple[Provider, str, str, str, str], Kek | None], list[KeyUsage]] = {}
    for audit in audits:
        for usage in audit.keys:
            identity = usage.provider, usage.key_name, usage.kek_id, usage.kek_version, usage.origin
            groups.setdefault((identity, usage.kek), []).append(usage)
    usages = []
    for _, usages_of_key in sorted(groups.items(), key=lambda group: (group[0][0], repr(group[0][1]))):
        places = Counter({place: 0 for usage in usages_of_key for place, _ in usage.places})
        for usage in usages_of_key:
            places.update(dict(usage.places))
        usages.append(
            replace(
                usages_of_key[0],
                places=tuple(sorted(places.items())),
                resources=tuple(sorted({name for usage in usages_of_key for name in usage.resources})),
                oldest=None,
                newest=None,
                values=sum(usage.values for usage in usages_of_key),
                opened=sum(usage.opened for usage in usages_of_key),
                failed=sum(usage.failed for usage in usages_of_key),
                configured=any(usage.configured for usage in usages_of_key),
                objects=tuple(dict.fromkeys(name for usage in usages_of_key for name in usage.objects)),
                answered=tuple(sorted({key for usage in usages_of_key for key in usage.answered})),
            )
        )
    return tuple(usages)
