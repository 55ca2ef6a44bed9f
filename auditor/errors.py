"""The one exception root, and the description of a failure in a line without a byte of evidence.

The library raises; only auditor/cli prints and exits.
"""

import traceback
from importlib.util import find_spec
from pathlib import Path

from auditor import platform

NOTHING = "nothing was concluded"
READ_FAILURE = "the evidence shrank or became unreadable while it was read"
_FATAL_SIGNALS = {
    "SIGBUS": f"{READ_FAILURE} (SIGBUS); {NOTHING}",
    "SIGKILL": f"the reading process was killed (SIGKILL), perhaps because memory ran out; {NOTHING}",
}


class AuditorError(Exception):
    """A failure that a person can act on: its text names the file, the offset or the key, and the way out.

    Never carries bytes of evidence, keys or configuration text.
    """


class UnreadableEvidence(AuditorError):
    """Nothing in this file could be read as etcd evidence."""


class UsageError(AuditorError):
    """The options contradict each other or name something that is not there."""


class MissingExtra(UsageError):
    """A package that only one extra brings, and that is not installed."""

    def __init__(self, what: str, package: str, extra: str, otherwise: str = "") -> None:
        """The same words for all of them.

        Args:
            what: The option or the URL that needs it, printable.
            package: The package, as it is imported.
            extra: The extra of etcd-auditor that brings it.
            otherwise: What else leads on, if anything does.
        """
        way_out = f"pip install 'etcd-auditor[{extra}]'{', or ' if otherwise else ''}{otherwise}"
        super().__init__(f"{what} needs {package}, which is not installed: {way_out}")


def require(what: str, package: str, extra: str) -> None:
    """Raises MissingExtra where a package is not installed; imports nothing. Arguments: those of MissingExtra."""
    if find_spec(package) is None:
        raise MissingExtra(what, package, extra)


def describe(error: BaseException) -> str:
    """The text of an AuditorError; of any other its type and line, never its own text, which may quote evidence."""
    if isinstance(error, AuditorError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"out of memory; {NOTHING}"
    if isinstance(error, OSError):
        return f"{type(error).__name__}: {error.strerror}; {NOTHING}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name} line {frame.lineno}"
    return f"a fault of etcd-auditor's own: {type(error).__name__} in {where}; {NOTHING}. Please report it"


def describe_code(code: int) -> str:
    """The meaning of an exit code that is none of the program's own."""
    if code == platform.IN_PAGE_ERROR:
        return f"{READ_FAILURE} (in-page error); {NOTHING}"
    return f"the reading process died (code {code:#x}); {NOTHING}"


def describe_signal(number: int) -> str:
    """The meaning of a reading process's death by a signal."""
    name = platform.signal_name(number)
    return _FATAL_SIGNALS.get(name, f"the reading process died ({name}); {NOTHING}")
