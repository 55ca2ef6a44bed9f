"""The contract of whoever unwraps data keys, and the ways in which one does not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, Protocol

from auditor.errors import AuditorError

NO_ANNOTATIONS: Mapping[str, bytes] = MappingProxyType({})


class KmsError(AuditorError):
    """A KMS is absent, refuses, or is not one. Names it and its address, never the bytes of a request or an answer."""


class KmsRefused(KmsError):
    """The KMS works and does not unwrap this data key: another KEK wrapped it, or it is damaged."""


class KmsUntried(KmsError):
    """The KMS was not asked, or says nothing of this data key: a budget, a throttle, a denial, a disabled KEK."""


class KmsMismatch(KmsRefused):
    """The same of a KMS that is called directly; the text says why it does not unwrap."""


class KmsOtherVersion(KmsMismatch):
    """The same of one version of a key, where another one is to be tried: the same wrapped key is asked for again."""


class KmsThrottled(KmsUntried):
    """The KMS takes no more calls for now: another try later may succeed."""


class WrappedKey(NamedTuple):
    """A wrapped data key or seed, with what stands beside it in clear: what a KMS is asked about."""

    wrapped: bytes
    """Bytes that the KMS wrapped."""
    key_id: str = ""
    """Id of the KEK; empty for KMS v1."""
    annotations: frozenset[tuple[str, bytes]] = frozenset()
    """Annotations of the value; none for KMS v1."""

    def __repr__(self) -> str:
        return "WrappedKey(...)"


class Unwrapper(Protocol):
    """A KMS that unwraps data keys."""

    def unwrap(self, wrapped: bytes, key_id: str = "", annotations: Mapping[str, bytes] = NO_ANNOTATIONS) -> bytes:
        """The data key or seed in a wrapped key.

        Args:
            wrapped: the wrapped key.
            key_id: id of the KEK; empty for KMS v1.
            annotations: of the value; none for KMS v1.

        Raises:
            KmsError: It cannot, does not, or was not asked.
        """


@dataclass(frozen=True, slots=True)
class Answer:
    """What a KMS answers to one wrapped key."""

    plaintext: bytes = field(repr=False)
    """The data key or seed; any bytes, since some services answer to a wrong key too."""
    key: str = ""
    """Key that really unwrapped, as the service names it; empty where it names none."""
    current: bool | None = None
    """Whether this is the version that the service wraps with now; None where it does not say."""
    request: str = ""
    """Id that the service gave the call; empty where it gives none."""
    otherwise: KmsError | None = None
    """The answer where this does not open the value: of one version of several; None where there is but this."""


class Service(Protocol):
    """A KMS that is called itself, in its plugin's place. Connects at the first call of principal() or decrypt()."""

    label: str
    """Name of the service."""
    remote: bool
    """Whether it is called: its calls are announced, counted and confirmed."""
    batch: int
    """Most wrapped keys of one call."""
    several: bool
    """Whether several versions may have to be tried on a wrapped key of KMS v1, a call each."""

    def key(self, wrapped: WrappedKey) -> str:
        """The key that would be called for a wrapped key, printable.

        Raises:
            KmsMismatch: Another service wrapped it.
            KmsUntried: Neither the option nor the evidence names a key.
        """

    def principal(self) -> str:
        """Who calls, printable; empty where that is not known. May log in. Raises KmsError."""

    def decrypt(self, keys: Sequence[WrappedKey]) -> "Sequence[Answer | KmsError]":
        """The answer to each wrapped key, or why there is none. Called in several threads.

        Args:
            keys: at most `batch` of one key().
        """

    def close(self) -> None:
        """Close the connection."""
