"""The one exhibit that a path or an endpoint names, opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from auditor.audit import expectations
from auditor.errors import UsageError
from auditor.evidence.discovery import exhibits
from auditor.evidence.exhibit import Exhibit
from auditor.observer import Observer
from auditor.options import Options

if TYPE_CHECKING:
    from auditor.evidence.live.access import Access


@contextmanager
def single(path: str, options: Options, observer: Observer, access: "Access | None" = None) -> Iterator[Exhibit]:
    """The one exhibit that lies at a path, or behind a live endpoint, opened.

    Args:
        path: The evidence.
        options: Where its WAL lies, and how containers are unpacked.
        observer: Its methods are called with the progress of receiving.
        access: How to reach a live etcd; then `path` is not looked at.

    Raises:
        UsageError: A container holds several exhibits.
    """
    access = reach(path, options, access)
    if access is not None:
        with live(access, options, observer) as exhibit:
            yield exhibit
        return
    with exhibits.opened(path, options) as opened:
        if len(opened) != 1:
            raise UsageError(f"{opened.containers[0].name} holds {len(opened)} evidence items, and one is wanted")
        ((_, opener),) = opened
        with opener() as exhibit:
            exhibit.work_dir, exhibit.raw = options.work_dir, options.raw
            yield exhibit


def live(access: "Access", options: Options, observer: Observer) -> Exhibit:
    """The exhibit of a live etcd. Raises LiveError."""
    from auditor.evidence.live import exhibit as live_exhibit
    from auditor.evidence.live.scope import Scope
    from auditor.kubernetes.resources import BUILT_IN, path_of

    paths = () if "*" in options.resources else tuple(path_of(name.rstrip(".")) for name in options.resources)
    scope = Scope(options.storage_prefixes, paths, frozenset({*BUILT_IN, *paths}), partial=not options.accept_partial)
    return live_exhibit.gather(access, options, observer, scope)


def reach(path: str, options: Options, access: "Access | None") -> "Access | None":
    """How to reach the evidence, where it is live. Raises UsageError where the options do not fit."""
    from auditor.evidence.live.access import Access, endpoints, is_endpoint

    if access is None and is_endpoint(path):
        access = Access(endpoints([path]))
    expectations.live(options, live=access is not None)
    return access
