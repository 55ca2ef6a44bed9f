"""An HTML report against its hashes of its own parts: the visible page, and the data behind it."""

import re
from collections.abc import Iterator
from typing import Any

from auditor.reports.html import embed, seal
from auditor.verify.checks import Check, differs, safe, same

_MARK = re.compile(rb"<!--part [a-z]+-->\r?\n")
_CONVERTED = b"\r\n"


def is_page(raw: bytes) -> bool:
    """Whether these bytes are a page of etcd-auditor's, whole or not: other HTML has no parts."""
    return _MARK.search(raw) is not None


def findings(raw: bytes) -> list[dict[str, Any]]:
    """The findings that a page embeds; none where they cannot be read, which check() reports."""
    return embed.rows(raw) or []


def check(name: str, raw: bytes, document: dict[str, Any]) -> Iterator[Check]:
    """The parts of a page against the hashes in its custody.

    Args:
        name: The report's name, for the checks.
        raw: The page.
        document: Its custody, parsed.
    """
    hashes = document.get("hashes")
    parts = hashes.get("parts") if isinstance(hashes, dict) else None
    if not isinstance(hashes, dict) or not isinstance(parts, dict):
        yield differs(name, "it holds no hashes of the parts of its page")
        return
    if _CONVERTED in raw:
        yield differs(name, "its line ends were converted to CRLF on the way; the rest is held to its hashes without")
        raw = raw.replace(_CONVERTED, b"\n")
    try:
        digests, custody, trailing = seal.split(raw)
    except ValueError:
        yield differs(name, "it is not made of the parts that a page is made of")
        return
    differences = [f"part {safe(part)} of the page is missing" for part in parts if part not in digests]
    differences += [
        f"part {safe(part)} of the page is not what it was"
        for part, digest in digests.items()
        if parts.get(part) != digest
    ]
    if hashes.get("own") != seal.own(hashes):
        differences.append("its hashes are not what they were")
    if not seal.is_canonical(custody):
        differences.append("its custody is not written as it was")
    if trailing != seal.END.encode():
        differences.append("something else stands behind its custody")
    if embed.rows(raw) is None:
        differences.append("the findings in the page cannot be read")
    yield from (differs(name, text) for text in differences)
    if not differences:
        yield same(name, f"{len(parts)} parts of the page, by the hashes in it")
