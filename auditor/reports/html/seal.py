"""Hashes of the parts of a page, by which `etcd-auditor verify` tells whether, and where, it was changed.

A page is a sequence of parts, each behind a comment with its name, and the custody at its end: the sections of a JSON
report without the findings, which the page embeds by columns, and the hashes.
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
"""Characters that are encoded at once."""
START = "<!doctype html>\n"
END = "</body>\n</html>\n"


class Custody:
    """The custody of one audit."""

    def __init__(self, audit: Audit, fail_on: Severity, sheet: Sheet) -> None:
        self._document = document.custody(audit, fail_on, sheet)
        self.findings: str = self._document["hashes"]["findings"]
        """SHA-256 of the findings as CSV."""
        self.controls: list[dict[str, Any]] = self._document["controls"]
        """See controls.table()."""

    def element(self, parts: Mapping[str, str]) -> str:
        """The script element that ends the page."""
        return element(self._document, parts)


def element(document: Mapping[str, Any], parts: Mapping[str, str]) -> str:
    """The custody of a page. document: with `hashes`, to which those of the parts are added."""
    hashes = {**document["hashes"], "parts": {name: _hash(text) for name, text in parts.items()}}
    hashes["own"] = own(hashes)
    return OPENING + canonical({**document, "hashes": hashes}) + CLOSING


def page(parts: Mapping[str, str], document: Mapping[str, Any]) -> str:
    """A whole page: its parts, each behind its mark, and its custody."""
    marked = [piece for name, text in parts.items() for piece in (mark(name), text)]
    return "".join([START, *marked, element(document, parts), END])


def mark(name: str) -> str:
    return f"<!--part {name}-->\n"


def own(hashes: Mapping[str, Any]) -> str:
    """The hash of the hashes."""
    return seals.section({name: part for name, part in hashes.items() if name != "own"})


def canonical(value: dict[str, Any]) -> str:
    """The only form in which a custody is written."""
    return embed.text(value)


def split(raw: bytes) -> tuple[dict[str, str], bytes, bytes]:
    """The hash of each part of a page by name, the custody's text, and the bytes behind it.

    Raises ValueError for a malformed page: a part stands twice, or text before the first.
    """
    before, opening, rest = raw.partition(OPENING.encode())
    text, closing, trailing = rest.partition(CLOSING.encode())
    head, *parts = MARK.split(before)
    names = [name.decode() for name in parts[::2]]
    if head != START.encode() or not (opening and closing) or len(set(names)) < len(names):
        raise ValueError
    return {name: _digest(part) for name, part in zip(names, parts[1::2], strict=True)}, text, trailing


def is_canonical(text: bytes) -> bool:
    """Whether a custody's text is canonical: a change of spelling is a change."""
    return canonical(json.loads(text)).encode() == text


def _hash(text: str) -> str:
    """The hash of a text, encoded in portions: a second copy of a large report's findings takes too much memory."""
    whole = hashlib.sha256()
    for at in range(0, len(text), PORTION):
        whole.update(text[at : at + PORTION].encode("utf-8"))
    return whole.hexdigest()


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
