"""The team that a Secret belongs to: by a file of globs, or by a label of its namespace."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from auditor.errors import UsageError
from auditor.evidence.reading import Reading
from auditor.kubernetes import secret_content
from auditor.kubernetes.store import Store
from auditor.model.vocabulary import Encoding, Place, Provider
from auditor.text import encode, printable, restore, shown

LARGEST = 1 << 20
"""Bytes of the largest file of owners."""


@dataclass(frozen=True, slots=True)
class Teams:
    """Globs of Secrets with their teams, and the teams of namespaces. The last glob that fits counts."""

    globs: tuple[tuple[str, str], ...] = ()
    """Glob of NAMESPACE/NAME, and team."""
    namespaces: Mapping[bytes, str] = field(default_factory=dict)
    """Team by namespace, of its label."""

    def of(self, namespace: bytes, name: bytes) -> str:
        """The team of a Secret; empty for none."""
        text = f"{printable(namespace)}/{printable(name)}"
        fitting = [team for glob, team in self.globs if fnmatchcase(text, glob)]
        return fitting[-1] if fitting else self.namespaces.get(namespace, "")


def load(path: str) -> tuple[tuple[str, str], ...]:
    """The globs of a file: `GLOB TEAM` a line, as in CODEOWNERS; `#` begins a comment. Raises UsageError."""
    name = shown(Path(path).name)
    try:
        raw = Path(path).read_bytes()[: LARGEST + 1]
        text = raw.decode("utf-8")
    except OSError as error:
        raise UsageError(f"--owners {name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--owners {name}: not UTF-8") from None
    if len(raw) > LARGEST:
        raise UsageError(f"--owners {name}: larger than {LARGEST:,} bytes")
    globs = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split(None, 1)
        if len(words) == 1:
            raise UsageError(f"--owners {name}, line {number}: expected a glob of NAMESPACE/NAME and a team")
        if words:
            globs.append((words[0] if "/" in words[0] else f"{words[0]}/*", shown(words[1].strip())))
    return tuple(globs)


def by_label(store: Store, reading: Reading, label: str) -> dict[bytes, str]:
    """The value of a label of every current namespace that can be read."""
    teams: dict[bytes, str] = {}
    for part in store.parts:
        batch = part.batch
        current = batch.at(Place.LATEST) & part.stores & reading.serves(batch.source) & (batch.key_at >= 0)
        current &= part.prefixes.provider == Provider.IDENTITY
        for code, resource in enumerate(store.resources):
            if resource.name != "namespaces":
                continue
            for row in np.flatnonzero(current & (part.resource == code)).tolist():
                encoding = Encoding(int(part.prefixes.encoding[row]))
                labels = secret_content.labels(batch.value(row), encoding)
                if (team := labels.get(encode(label))) is not None:
                    teams[batch.key(row)[len(restore(resource.path)) + 1 :]] = printable(team)
    return teams
