"""The scripts and styles of a page: libraries as their packages bring them, and the glue beside this file.

The policy of a page lets in only these scripts, by their hashes, and only the styles with its nonce: markup that got
into a page all the same would be inert. It names no source on any network.
"""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from auditor.errors import AuditorError

GLUE = ("columns.js", "filter.js", "export.js", "explain.js", "table.js", "pictures.js", "print.js", "main.js")
"""Our own scripts, in the order in which they use each other."""
_EXPORT = re.compile(r"([\w$]+) as jQuery\b")
_MARKUP = re.compile(r"<(?=!--|/?script)", re.IGNORECASE)


class MissingLibrary(AuditorError):
    """A library that the page is made with is not installed, or not as expected."""


@dataclass(frozen=True, slots=True)
class Script:
    """name: of its part of the page."""

    name: str
    text: str
    module: bool

    @property
    def element(self) -> str:
        kind = ' type="module"' if self.module else ""
        return f"<script{kind}>{self.text}</script>\n"

    @property
    def source(self) -> str:
        """What a policy calls it."""
        digest = hashlib.sha256(self.text.encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"


@dataclass(frozen=True, slots=True)
class Policy:
    """content: of the meta element. nonce: what lets a style in."""

    content: str
    nonce: str
    styles: str


@cache
def scripts() -> tuple[Script, ...]:
    """Raises MissingLibrary."""
    tables = _library("itables", "html/dt_bundle.js")
    exported = _EXPORT.search(tables, tables.rfind("export{"))
    if exported is None:
        raise MissingLibrary(
            "itables: html/dt_bundle.js exports no jQuery: install a version that pyproject.toml names"
        )
    plots = [_library("bokeh", f"server/static/js/{name}.min.js") for name in ("bokeh", "bokeh-api")]
    return (
        Script("tables", f"{tables}\nglobalThis.jQuery = {exported[1]};\n", module=True),
        Script("styling", _own("styling.js"), module=False),
        Script("plots", plots[0], module=False),
        Script("plotting", plots[1], module=False),
        Script("glue", "".join(map(_own, GLUE)), module=True),
    )


def policy(chosen: tuple[Script, ...]) -> Policy:
    nonce = secrets.token_urlsafe(16)
    allowed = " ".join(script.source for script in chosen)
    content = (
        f"default-src 'none'; script-src {allowed}; style-src 'nonce-{nonce}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return Policy(content, nonce, _library("itables", "html/dt_bundle.css") + _own("report.css"))


def _library(package: str, name: str) -> str:
    """A data file of an installed package, without importing it: that would take longer than the scan.

    `<` before `script` and `!--` becomes its escape, which means the same where these can stand, in literals.
    """
    found = find_spec(package)
    if found is None or found.origin is None:
        raise MissingLibrary(f"{package} is not installed: the HTML report needs it")
    try:
        text = Path(found.origin).with_name(name.partition("/")[0]).joinpath(name.partition("/")[2]).read_text("utf-8")
    except OSError as error:
        raise MissingLibrary(f"{package} holds no {name}: {error.strerror}; install it anew") from None
    return _MARKUP.sub(r"\\x3C", text)


def _own(name: str) -> str:
    return files("auditor.reports.html").joinpath("static", name).read_text(encoding="utf-8")
