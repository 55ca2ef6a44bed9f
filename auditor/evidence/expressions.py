"""Regular expressions that give nothing back, on every Python: possessive groups are matched wrongly before 3.11.5.

CPython gh-106052: where a possessive group's own expression can be matched in several ways, a match is missed. Debian
12 has 3.11.2.
"""

import sys

POSSESSIVE = sys.version_info >= (3, 11, 5)
"""Whether this Python matches possessive groups as documented; possessive classes of letters it always does."""


def repeated(body: bytes, name: bytes = b"") -> bytes:
    """The expression of a body as often as it matches, never matched again in another way.

    Args:
        body: The repeated expression.
        name: Of a group of this expression alone, where the body can match a text in several ways: there an assertion
            gives nothing back. Where the body's alternatives exclude each other nothing can be given back.
    """
    if POSSESSIVE:
        return b"(?:" + body + b")*+"
    if not name:
        return b"(?:" + body + b")*"
    return b"(?=(?P<" + name + b">(?:" + body + b")*))(?P=" + name + b")"
