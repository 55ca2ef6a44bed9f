"""The exit code of a run that could be carried out, whatever the command; one that could not ends with 2."""


def of(*, failed: bool, complete: bool) -> int:
    """1: something is not as it must be. 3: no such thing, and not all was read and concluded. 0: neither.

    Args:
        failed: Whether something is not as it must be.
        complete: Whether all in the scope was read and concluded.
    """
    if failed:
        return 1
    return 0 if complete else 3
