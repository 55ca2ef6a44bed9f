"""Core dumps of a process that reads evidence: there are none."""


def no_core_dumps() -> None:
    """A core of this process would hold Secrets. A limit of 1 byte also stops cores piped to a program; 0 does not."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    limit = 0 if hard == 0 else 1
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
