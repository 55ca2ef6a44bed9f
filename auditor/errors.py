"""The one exception root. Libraries of the auditor raise; only auditor/cli prints and exits."""


class AuditorError(Exception):
    """A failure that a person can act on: its text names the file, the offset or the key, and the way out.

    Never carries bytes of evidence, keys or configuration text.
    """


class UnreadableEvidence(AuditorError):
    """Nothing in this file could be read as etcd evidence."""


class UsageError(AuditorError):
    """The options contradict each other or name something that is not there."""
