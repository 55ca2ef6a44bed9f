"""The one exception root, and the description of a failure in a line without a byte of evidence.

The library raises; only auditor/cli prints and exits.
"""

import signal
import traceback
from pathlib import Path

NOTHING = "nothing was concluded"
READ_FAILURE = "the evidence shrank or became unreadable while it was read"
_FATAL_SIGNALS = {
    signal.SIGBUS: f"{READ_FAILURE} (SIGBUS); {NOTHING}",
    signal.SIGKILL: f"the reading process was killed (SIGKILL), perhaps because memory ran out; {NOTHING}",
}


class AuditorError(Exception):
    """A failure that a person can act on: its text names the file, the offset or the key, and the way out.

    Never carries bytes of evidence, keys or configuration text.
    """


class UnreadableEvidence(AuditorError):
    """Nothing in this file could be read as etcd evidence."""


class UsageError(AuditorError):
    """The options contradict each other or name something that is not there."""


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


def describe_signal(number: int) -> str:
    """The meaning of a reading process's death by a signal."""
    name = signal.Signals(number).name
    return _FATAL_SIGNALS.get(signal.Signals(number), f"the reading process died ({name}); {NOTHING}")
