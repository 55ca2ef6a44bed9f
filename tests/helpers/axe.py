"""axe-core, of npm's registry, in a page that a browser shows: what it finds wrong by WCAG 2.2 AA and best practice."""

import os
from functools import cache
from pathlib import Path

import pytest

from tests.helpers.browser import Browser

REQUIRED = "AUDITOR_REQUIRE_AXE"
"""Where this is set a missing axe-core is a failure."""
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
_RUN = """
    const done = arguments[arguments.length - 1];
    axe.run(document, {runOnly: arguments[0], resultTypes: ["violations"]}).then(({violations}) => done(
        violations.map(({id, nodes}) => [id, ...nodes.slice(0, 3).map(({html}) => html.slice(0, 160))])));
"""


@cache
def source() -> str:
    """The script; skips without one. It is looked for beside the programs of npm on the PATH."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        script = Path(folder).parent / "axe-core" / "axe.min.js"
        if script.is_file():
            return script.read_text(encoding="utf-8")
    missing = "pages are not held to axe-core: it is beside no program on the PATH (npm install axe-core)"
    if os.environ.get(REQUIRED):
        pytest.fail(missing)
    pytest.skip(missing)


def violations(browser: Browser) -> list[list[str]]:
    """The rules that the page breaks, each with the first elements that do."""
    browser.run(source())
    found: list[list[str]] = browser.driver.execute_async_script(_RUN, list(TAGS))
    return found
