"""What goes wrong with a fleet."""

from auditor.errors import AuditorError


class DataSetError(AuditorError):
    """The data set cannot be read or written, or is none of ours. Names the path, never what a library said."""
