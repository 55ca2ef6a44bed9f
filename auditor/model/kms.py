"""Key-encryption keys: which service holds one, as far as a wrapped data key says, and the calls that were made."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from auditor.text import plural, shown


class KmsService(Enum):
    """The service that wrapped a data key."""

    AWS = "AWS KMS"
    GCP = "Google Cloud KMS"
    AZURE = "Azure Key Vault"
    TRANSIT = "Vault or OpenBao transit"
    TROUSSEAU = "Trousseau 2"
    JWE = "PKCS#11 plugin that writes JWE"
    BARBICAN = "OpenStack Barbican"
    LOCAL_KEK = "local KEK, itself wrapped by a KMS"
    OVH = "OVHcloud KMS"
    FORTANIX = "Fortanix DSM"
    STACKIT = "STACKIT KMS"
    TEXT = "a service that answers in base64: Alibaba Cloud KMS, Tencent Cloud KMS or Equinix SmartKey"
    TOY = "toy plugin: its wrapped keys are readable"
    AES_GCM = "AES-GCM of a PKCS#11 token or of a local key"


@dataclass(frozen=True, slots=True)
class Kek:
    """A key-encryption key, as far as wrapped keys, KEK ids and annotations name it. Texts are printable."""

    service: KmsService
    """Service that wrapped."""
    plugin: str = ""
    """Name of the plugin, where the formats of several differ."""
    key: str = ""
    """Key that the evidence names; empty where it names none."""
    version: str = ""
    """Version of the key; empty where the evidence names none."""
    region: str = ""
    """Region or location; empty where the evidence names none."""
    needs: tuple[str, ...] = ()
    """What the evidence lacks, and whoever restores it must supply."""
    remark: str = ""
    """What else a reader of the evidence must know."""


@dataclass(frozen=True, slots=True)
class PluginSuggestion:
    """What the own Pod of a KMS plugin in the evidence says of its key: for a reader, never used by itself."""

    service: KmsService
    """Service that it calls."""
    pod: str
    """Namespace and name, printable."""
    container: str
    """Name of the container, printable."""
    urls: tuple[str, ...]
    """What would stand after NAME= of --kms; none where the Pod does not say enough."""
    current: bool
    """Whether it is a current Pod."""
    credentials: tuple[str, ...] = ()
    """Arguments and variables of it that hold credentials."""


@dataclass(frozen=True, slots=True)
class KmsCalls:
    """The calls of a run to one key of a KMS, so that they can be matched in its log."""

    name: str
    """Name of the KMS in --kms."""
    service: str
    """The service."""
    key: str
    """Key that was called."""
    principal: str
    """Who called, where that is known; else empty."""
    calls: int
    """Number of calls, repetitions included."""
    unwrapped: int
    """Number of data keys that came back."""
    first: str
    """Time of the first call, ISO 8601 in UTC."""
    last: str
    """Time of the last one."""
    requests: tuple[str, ...]
    """Ids that the service gave the calls; none where it gives none."""
    answering: tuple[str, ...]
    """Keys that really unwrapped, as the answers name them."""
    outcomes: tuple[tuple[str, int], ...]
    """Reasons for wrapped keys that were not unwrapped, and the number of each."""

    def sentences(self) -> Iterator[str]:
        """What a report says of them: who called how often and when, what was not unwrapped, and what unwrapped."""
        option = f"--kms {shown(self.name)}"
        who = f" as {self.principal}" if self.principal else ""
        when = f" from {self.first} to {self.last}" if self.calls else ""
        asked = sum(count for _, count in self.outcomes) + self.unwrapped
        yield (
            f"{option}, {self.service}, {self.key}: {plural(self.calls, 'call')}{who}{when}; "
            f"{self.unwrapped:,} of {plural(asked, 'wrapped key')} unwrapped"
        )
        yield from (f"{option}, {self.key}: {plural(count, 'wrapped key')}: {why}" for why, count in self.outcomes)
        if set(self.answering) - {self.key}:
            yield f"{option}, {self.key}: what really unwrapped: {', '.join(self.answering)}"
