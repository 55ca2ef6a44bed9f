"""The scripts and styles of a page: libraries, and the glue beside this file.

The wheel holds the libraries (.ci/report_libraries.py takes them out of their packages); a checkout has their packages.

A page's content security policy allows only these scripts, by their hashes, and only the styles with its nonce:
injected markup would be inert. It names no source on any network.
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

GLUE = ("columns.js", "filter.js", "export.js", "explain.js", "table.js", "charts.js", "print.js", "main.js")
"""etcd-auditor's own scripts, in the order of their dependencies."""
LIBRARIES = "libraries"
"""The folder of a wheel, beside this file, with the data files of packages that the page needs."""
_EXPORT = re.compile(r"([\w$]+) as jQuery\b")
_MARKUP = re.compile(r"<(?=!--|/?script)", re.IGNORECASE)


class MissingLibrary(AuditorError):
    """A library of the page is not installed, or not as expected."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script of the page."""

    name: str
    """The name of its part of the page."""
    text: str
    module: bool

    @property
    def element(self) -> str:
        kind = ' type="module"' if self.module else ""
        return f"<script{kind}>{self.text}</script>\n"

    @property
    def source(self) -> str:
        """The script in a policy: its hash."""
        digest = hashlib.sha256(self.text.encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode()}'"


@dataclass(frozen=True, slots=True)
class Policy:
    """The content security policy of a page, and the styles that it allows."""

    content: str
    """The content of the meta element."""
    nonce: str
    """The nonce of the style element."""
    styles: str


@cache
def scripts() -> tuple[Script, ...]:
    """The scripts of every page. Raises MissingLibrary."""
    tables = _library("itables", "html/dt_bundle.js")
    export = _EXPORT.search(tables, tables.rfind("export{"))
    if export is None:
        raise MissingLibrary(
            "itables: html/dt_bundle.js exports no jQuery: install a version that pyproject.toml names"
        )
    return (
        Script("tables", f"{tables}\nglobalThis.jQuery = {export[1]};\n", module=True),
        Script("glue", "".join(map(_own, GLUE)), module=True),
    )


def policy(scripts: tuple[Script, ...]) -> Policy:
    """A policy for these scripts, with a new nonce."""
    nonce = secrets.token_urlsafe(16)
    allowed = " ".join(script.source for script in scripts)
    content = (
        f"default-src 'none'; script-src {allowed}; style-src 'nonce-{nonce}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return Policy(content, nonce, _library("itables", "html/dt_bundle.css") + _own("report.css"))


def _library(package: str, name: str) -> str:
    """A data file of a package, out of the wheel or of the package itself, which is not imported: that would take long.

    `<` before `script` and `!--` becomes its escape, which means the same in the literals where these can stand.
    """
    bundled = files("auditor.reports.html").joinpath(LIBRARIES, package, *name.split("/"))
    if bundled.is_file():
        return _escaped(bundled.read_text("utf-8"))
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingLibrary(
            f"{package} is not installed: the HTML report of a checkout needs it; pip install '.[test]'"
        )
    try:
        text = Path(spec.origin).with_name(name.partition("/")[0]).joinpath(name.partition("/")[2]).read_text("utf-8")
    except OSError as error:
        raise MissingLibrary(f"{package} holds no {name}: {error.strerror}; install it anew") from None
    return _escaped(text)


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\x3C", text)


def _own(name: str) -> str:
    return files("auditor.reports.html").joinpath("static", name).read_text(encoding="utf-8")
