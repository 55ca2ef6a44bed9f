"""Rows of the hits of a hunt."""

from collections.abc import Iterator, Sequence

from auditor.audit.ids import tag
from auditor.hunt.hit import Hit
from auditor.judgement import policy
from auditor.model.findings import Cell, Finding
from auditor.model.vocabulary import Opened, Provider
from auditor.text import KEY, marked, plural, unmarked

NOT_KNOWN = "unknown"


def rows(hits: Sequence[Hit], unlocated: frozenset[str], own: str) -> Iterator[tuple[dict[str, Cell], Finding]]:
    """The cells of each hit's row by column, those that apply, and its finding.

    Args:
        hits: of a hunt.
        unlocated: sources without offsets.
        own: name of the evidence's own file.
    """
    for hit in hits:
        default = ("", "", NOT_KNOWN if hit.key else "")
        namespace, _, name = hit.key[hit.path_size :].rpartition("/") if hit.path_size else default
        detail = _detail(hit)
        text = f"{hit.finding.label} {unmarked(detail)}"
        row: dict[str, Cell] = {
            "id": tag(f"{'' if hit.source == own else hit.source} {text}") + f"{max(hit.offset, 0):010x}",
            "place": hit.place.label if hit.place is not None else "",
            "judged": "finding",
            "resource": hit.resource,
            "namespace": namespace,
            "name": name,
            "key": hit.key,
            "provider": hit.provider.label if hit.place is not None else "",
            "decrypted": Opened.YES.label if hit.provider > Provider.IDENTITY else "",
            "mod_revision": "" if hit.place is None else hit.mod_revision if hit.mod_revision >= 0 else NOT_KNOWN,
            "source": hit.source,
            "offset": "" if hit.source in unlocated or hit.offset < 0 else hit.offset,
            "size": hit.size if hit.offset >= 0 else "",
            "page": hit.page if hit.page >= 0 else "",
            "detail": detail,
        }
        yield row, Finding(hit.finding, policy.severity(hit.finding, current=False, same_as_latest=False))


def _detail(hit: Hit) -> str:
    """Original, form and field of a hit, and the values that a key opens."""
    if hit.remark:
        return hit.remark
    where = f"{' inside the decrypted value' if hit.opened else ''}{f' in={hit.path}' if hit.path else ''}"
    where = "; outside every stored value" if hit.unheld else where
    if hit.opens is None:
        more = f" and {hit.copy.more_owners:,} more" if hit.copy.more_owners else ""
        owner = marked(hit.copy.owner, KEY)
        return f"of={owner} field={hit.copy.field}{more} value=#{hit.copy.number} as={hit.form}{where}"
    if not hit.opens.keys:
        values = plural(hit.opens.values, "value")
        return f"key={hit.copy.owner} as={hit.form}{where}; it decrypts {values} of this evidence"
    path = f" in={hit.path}" if hit.path else ""
    keys = f"an EncryptionConfiguration with {plural(hit.opens.keys, 'key')}{path}"
    return f"{keys}; the keys found decrypt {plural(hit.opens.values, 'value')} of this evidence"
