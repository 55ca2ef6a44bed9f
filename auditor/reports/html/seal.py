"""Hashes of the parts of a page, by which `etcd-auditor verify` tells whether, and where, it was changed.

A page is part behind part, each begun by a comment that names it, and last of all the custody: everything that a
JSON report holds but the findings, which the page embeds by columns, and the hashes.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from auditor.model.audit import Audit
from auditor.model.vocabulary import Severity
from auditor.reports import json as document
from auditor.reports import seals
from auditor.reports.csv import Sheet
from auditor.reports.html import embed

MARK = re.compile(rb"<!--part ([a-z]+)-->\n")
OPENING = '<script type="application/json" id="custody">'
CLOSING = "</script>\n"
PORTION = 1 << 20
START = "<!doctype html>\n"
END = "</body>\n</html>\n"


class Custody:
    """What verify needs of one audit. findings: SHA-256 of the findings as CSV. controls: see controls.table()."""

    def __init__(self, audit: Audit, fail_on: Severity, sheet: Sheet) -> None:
        self._document = document.custody(audit, fail_on, sheet)
        self.findings: str = self._document["hashes"]["findings"]
        self.controls: list[dict[str, Any]] = self._document["controls"]

    def element(self, parts: Mapping[str, str]) -> str:
        """The script element that ends the page."""
        hashes = {**self._document["hashes"], "parts": {name: _hash(text) for name, text in parts.items()}}
        hashes["own"] = own(hashes)
        return OPENING + canonical({**self._document, "hashes": hashes}) + CLOSING


def mark(name: str) -> str:
    return f"<!--part {name}-->\n"


def own(hashes: Mapping[str, Any]) -> str:
    """The hash of the hashes."""
    return seals.section({name: part for name, part in hashes.items() if name != "own"})


def canonical(value: dict[str, Any]) -> str:
    """The one way in which a custody is written."""
    return embed.text(value)


def split(raw: bytes) -> tuple[dict[str, str], bytes, bytes]:
    """Of a page the hash of each part by name, the custody's text, and what stands behind it.

    Raises ValueError where it is not made so: a part stands twice, or text before the first.
    """
    before, opening, rest = raw.partition(OPENING.encode())
    text, closing, behind = rest.partition(CLOSING.encode())
    head, *pieces = MARK.split(before)
    names = [name.decode() for name in pieces[::2]]
    if head != START.encode() or not (opening and closing) or len(set(names)) < len(names):
        raise ValueError
    return {name: _digest(part) for name, part in zip(names, pieces[1::2], strict=True)}, text, behind


def is_canonical(text: bytes) -> bool:
    """Whether a custody's text is written the one way: a change that means the same is a change."""
    return canonical(json.loads(text)).encode() == text


def _hash(text: str) -> str:
    """In portions: of the findings of a large report a second copy would be felt."""
    whole = hashlib.sha256()
    for at in range(0, len(text), PORTION):
        whole.update(text[at : at + PORTION].encode("utf-8"))
    return whole.hexdigest()


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
