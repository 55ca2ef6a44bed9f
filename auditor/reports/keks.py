"""What `keys` says of key-encryption keys: what a restore needs, and what shows in their service's log."""

from typing import Any

from auditor.model.audit import Audit
from auditor.model.findings import KeyUsage
from auditor.model.kms import Kek, KmsService

TRAILS = {
    KmsService.AWS: "CloudTrail: eventSource kms.amazonaws.com, eventName Decrypt, {key}; its encryptionContext and "
    "userIdentity say for what and by whom",
    KmsService.GCP: "Cloud Audit Logs, Data Access (off by default): serviceName cloudkms.googleapis.com, methodName "
    "Decrypt, {key}",
    KmsService.AZURE: "the vault's AuditEvent log: operationName KeyDecrypt (and KeyUnwrap), {key}",
    KmsService.TRANSIT: "the server's audit device: request.operation update, request.path MOUNT/decrypt/{key}",
}
"""Where each service records that a data key was unwrapped; `{key}` stands for the key."""
_ANY = {
    KmsService.AWS: "any key",
    KmsService.GCP: "any key",
    KmsService.AZURE: "the key's URL",
    KmsService.TRANSIT: "KEY",
}


def sentences(audit: Audit) -> list[str]:
    """Two sentences for each KEK that the evidence names: what a restore needs, and how its use shows in a log."""
    keks: dict[tuple[str, Kek], None] = {}
    for usage in audit.keys:
        if usage.kek is not None and usage.values:
            pair = (f"{usage.provider.label}/{usage.key_name}", usage.kek)
            keks[pair] = None
    lines = [_needs(label, kek) for label, kek in keks]
    return [*lines, *dict.fromkeys(filter(None, (trail(kek) for _, kek in keks)))]


def entry(usage: KeyUsage) -> dict[str, Any] | None:
    """The KEK of a key's use, in plain values; None where the evidence names none."""
    kek = usage.kek
    if kek is None:
        return None
    return {
        "service": kek.service.value,
        "plugin": kek.plugin,
        "key": kek.key,
        "version": kek.version,
        "region": kek.region,
        "needs": list(kek.needs),
        "remark": kek.remark,
        "log": trail(kek),
    }


def trail(kek: Kek) -> str:
    """What to look for in the service's log, to learn whether whoever has the evidence used the KEK."""
    template = TRAILS.get(kek.service)
    if template is None:
        return ""
    key = kek.key or _ANY[kek.service]
    return f"whether a copy of this evidence was decrypted: {template.format(key=key)}, since the day it was made"


def _needs(label: str, kek: Kek) -> str:
    parts = [kek.service.value + (f" ({kek.plugin})" if kek.plugin else "")]
    parts += [f"key {kek.key}"] if kek.key else []
    parts += [f"version {kek.version}"] if kek.version else []
    parts += [f"region {kek.region}"] if kek.region else []
    needs = f"; a restore needs {', '.join(kek.needs)}" if kek.needs else ""
    remark = f"; {kek.remark}" if kek.remark else ""
    return f"data keys of {label} are wrapped by {', '.join(parts)}{needs}{remark}"
