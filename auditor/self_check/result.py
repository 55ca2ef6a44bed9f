"""The result of a self-check, and its JSON document, which a laboratory files with a case."""

import json
import platform
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any

from auditor.self_check.installation import Files, Locked, State
from auditor.self_check.known_answers import Answer
from auditor.text import moment, printable
from auditor.version import __version__

VERSION = 1
"""The version of the document."""


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """One self-check."""

    started: str
    """Start, ISO 8601 in UTC."""
    answers: tuple[Answer, ...]
    """One a known item of evidence."""
    program: Files
    """The program's own files."""
    dependencies: tuple[Files, ...]
    """The files of the dependencies."""
    lock: tuple[Locked, ...]
    """The dependencies against the published lock."""

    @property
    def passes(self) -> bool:
        """Whether every answer is the known one and no file differs from its record.

        Versions other than the lock's are allowed, and stated.
        """
        files = (self.program, *self.dependencies)
        return all(answer.matches for answer in self.answers) and all(each.state is not State.DIFFERS for each in files)

    @property
    def lock_state(self) -> State:
        """Whether all that is installed is what the lock names."""
        if not self.lock:
            return State.NO_LOCK
        return State.DIFFERS if any(each.state is State.DIFFERS for each in self.lock) else State.MATCHES


def state_of(files: Iterable[Files]) -> State:
    """The state of several distributions: one that differs decides, then one without a record."""
    states = {each.state for each in files}
    return next((state for state in (State.DIFFERS, State.NO_RECORD) if state in states), State.MATCHES)


def now() -> str:
    """The time, as reports write it."""
    return moment(datetime.now(UTC).timestamp())


def document(check: SelfCheck) -> dict[str, Any]:
    """The JSON document: text and numbers, no byte of evidence."""
    return {
        "format": "etcd-auditor self-check",
        "version": VERSION,
        "passes": check.passes,
        "run": {
            "started": check.started,
            "finished": now(),
            "program": __version__,
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        },
        "known_answers": [
            {
                "name": answer.case.name,
                "matches": answer.matches,
                "known_rows": len(answer.case.rows),
                "reported_rows": answer.rows,
                "places": dict(sorted(Counter(str(row[0]) for row in answer.case.rows).items())),
                "differences": [_shown(each) for each in answer.differences],
            }
            for answer in check.answers
        ],
        "program": _files(check.program),
        "dependencies": [_files(each) for each in check.dependencies],
        "lock": {
            "state": check.lock_state.value,
            "packages": [
                {"name": each.name, "locked": each.locked, "installed": each.installed, "state": each.state.value}
                for each in check.lock
            ],
        },
    }


def write(check: SelfCheck, out: IO[str]) -> None:
    """Write the document."""
    json.dump(document(check), out, indent=2)
    out.write("\n")


def _files(files: Files) -> dict[str, Any]:
    return {
        "name": files.name,
        "version": files.version,
        "state": files.state.value,
        "hashed": files.count,
        "differing": [_shown(each) for each in files.differing],
        **({"sha256": files.sha256} if files.sha256 else {}),
    }


def _shown(text: str) -> str:
    return printable(text.encode("utf-8", "surrogateescape"))
