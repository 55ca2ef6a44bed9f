"""The names of files in containers: `backup.tar.gz!etcd/inner.zip!snapshot.db`."""

from typing import NamedTuple, Self

SEPARATOR = "!"
"""Stands between a container's name and that of its member when both are printed."""


class MemberName(NamedTuple):
    """A member of a container, or the container itself."""

    container: str
    """The outermost container, as reports call it; its own name may hold the separator too."""
    parts: tuple[str, ...] = ()
    """The printable path in each archive from the outermost inwards; empty for the container itself."""

    def __str__(self) -> str:
        return SEPARATOR.join((self.container, *self.parts))

    def inside(self, path: str) -> Self:
        """The name of a member of this file."""
        return self._replace(parts=(*self.parts, path))

    def with_ending(self, ending: str) -> Self:
        """The name of the file beside this one whose name goes on with `ending`."""
        if not self.parts:
            return self._replace(container=self.container + ending)
        return self._replace(parts=(*self.parts[:-1], self.parts[-1] + ending))


def is_member(name: str, container: str) -> bool:
    """Whether a printed name is that of a member of a container whose name is known."""
    return name.startswith(f"{container}{SEPARATOR}")
