"""The keys that --range reads: those under the storage prefixes, or where a role may not, what it may of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.evidence.live import errors, range_read, roles
from auditor.evidence.live.client import Client
from auditor.evidence.live.range_read import Range, bounds
from auditor.evidence.live.roles import Bounds
from auditor.evidence.live.spool import Spool
from auditor.model.evidence import Unexamined
from auditor.observer import Observer

PREFIX = "/registry"
"""The default storage prefix, as of kube-apiserver."""
NAMESPACED = 2
"""Segments of a namespaced object's key behind the path of its resource."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The storage prefixes, and the resources that matter most under them."""

    prefixes: Sequence[str] = ()
    """Storage prefixes, of which one may be the path of a resource under another; none for PREFIX."""
    paths: tuple[str, ...] = ()
    """Paths under a storage prefix of the resources that are asked for; none for all."""
    known: frozenset[str] = frozenset()
    """Paths of all known resources."""
    partial: bool = True
    """Whether what is left out keeps the conclusion open."""

    @property
    def names(self) -> tuple[str, ...]:
        """The storage prefixes as keys begin with them."""
        return tuple(f"/{prefix.strip('/')}".rstrip("/") for prefix in self.prefixes or (PREFIX,))

    @property
    def wanted(self) -> list[Bounds]:
        """The ranges under the storage prefixes."""
        return list(dict.fromkeys(map(bounds, self.names)))

    @property
    def least(self) -> list[Bounds]:
        """The ranges of the resources that are asked for."""
        texts = [
            text
            for name in self.names
            for text in ([name] if self._resource(name) else [f"{name}/{path}" for path in self.paths])
        ]
        return list(dict.fromkeys(map(bounds, texts)))

    def read(self, client: Client, spool: Spool, observer: Observer) -> tuple[Range, list[Bounds]]:
        """Read every key of the scope, or those that the client's roles allow: the keys, and the ranges read.

        Args:
            client: The cluster.
            spool: The file for the keys and values.
            observer: Hears of the bytes received.

        Raises:
            Denied: No part may be read, with the least role to ask for.
        """
        try:
            return range_read.read(client, self.wanted, spool, observer), self.wanted
        except errors.Denied as error:
            granted = roles.granted(client)
            ranges = self.least if granted is None else roles.within(granted, self.wanted)
            denial = roles.denial(error, client, self.least or self.wanted)
        if not ranges:
            raise denial
        try:
            return range_read.read(client, ranges, spool, observer), ranges
        except errors.Denied:
            raise denial from None

    def unexamined(self, ranges: Sequence[Bounds]) -> list[Unexamined]:
        """What the read ranges leave out."""
        current = "--range: only current values were read"
        parts = [
            Unexamined("history, deleted objects and freed pages", current, self.partial),
            Unexamined(f"keys outside {roles.words(ranges)}", "--range: not read; see --storage-prefix", self.partial),
        ]
        if lacking := [each for each in self.least if roles.within(ranges, [each]) != [each]]:
            reason = "the user's roles may not read all of it, which was asked for"
            parts.append(Unexamined(f"a part of {roles.words(lacking)}", reason, decisive=True, may_be_current=True))
        return parts

    def storage_prefixes(self, depth: int) -> tuple[str, ...]:
        """The storage prefixes of the keys that were read.

        depth: slashes of the key with the most. What ends in the path of a resource is that resource's range, unless a
        key under it has more segments than an object's: then it is a prefix like any other.
        """
        names = []
        for name in self.names:
            resource = self._resource(name)
            names.append(resource[0] if resource and depth <= name.count("/") + resource[1] else name)
        return tuple(dict.fromkeys(names))

    def _resource(self, name: str) -> tuple[str, int] | None:
        """Of the path of a resource, or of a namespace in it: its storage prefix, and an object's further segments."""
        segments = name.split("/")
        for deeper, end in ((NAMESPACED, len(segments)), (NAMESPACED - 1, len(segments) - 1)):
            for count in (2, 1):
                if end > count and "/".join(segments[end - count : end]) in self.known:
                    return "/".join(segments[: end - count]), deeper
        return None
