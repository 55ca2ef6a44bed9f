"""What goes wrong with a fleet."""

from auditor.errors import AuditorError


class DataSetError(AuditorError):
    """The data set cannot be read or written, or is none of ours. Names the path, never what a library said."""


class MissingExtra(AuditorError):
    """A library of the extra `fleet` is not installed."""

    def __init__(self, library: str) -> None:
        super().__init__(f"{library} is not installed: pip install 'etcd-auditor[fleet]'")
