"""What went wrong, in a line without a byte of evidence."""

import signal
import traceback
from pathlib import Path

from auditor.errors import AuditorError

KILLED = {
    signal.SIGBUS: "the evidence shrank or became unreadable while it was read (SIGBUS); nothing was concluded",
    signal.SIGKILL: "the reading process was killed (SIGKILL), perhaps for want of memory; nothing was concluded",
}


def told(error: BaseException) -> str:
    """The text of an error of ours; of any other what it is and where, never its own text, which may quote evidence."""
    if isinstance(error, AuditorError):
        return str(error)
    if isinstance(error, MemoryError):
        return "out of memory; nothing was concluded"
    if isinstance(error, OSError):
        return f"{type(error).__name__}: {error.strerror}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name} line {frame.lineno}"
    return f"a fault of etcd-auditor's own: {type(error).__name__} in {where}; nothing was concluded. Please report it"


def fate(number: int) -> str:
    """What the death of a reading process by a signal means."""
    name = signal.Signals(number).name
    return KILLED.get(signal.Signals(number), f"the reading process died ({name}); nothing was concluded")
