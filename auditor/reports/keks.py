"""What `keys` says of key-encryption keys: what a restore needs, and what shows in their service's log."""

from collections.abc import Iterator
from shlex import quote
from typing import Any

from auditor.model.audit import Audit
from auditor.model.findings import KeyUsage
from auditor.model.kms import Kek, KmsService, PluginSuggestion

TRAILS = {
    KmsService.AWS: "CloudTrail: eventSource kms.amazonaws.com, eventName Decrypt, {key}; its encryptionContext and "
    "userIdentity say for what and by whom",
    KmsService.GCP: "Cloud Audit Logs, Data Access (off by default): serviceName cloudkms.googleapis.com, methodName "
    "Decrypt, {key}",
    KmsService.AZURE: "the vault's AuditEvent log: operationName KeyDecrypt (and KeyUnwrap), {key}",
    KmsService.TRANSIT: "the server's audit device: request.operation update, request.path MOUNT/decrypt/{key}",
    KmsService.TROUSSEAU: "the log of each service that it names: any one of them unwraps the data key",
    KmsService.LOCAL_KEK: "the log of the remote KMS, decryptions of the local KEK, which unwraps every data key",
    KmsService.BARBICAN: "the access log of Barbican's API: GET of the secret's payload, by others than the plugin",
    KmsService.OVH: "the audit log of the OKMS domain: decrypt, {key}",
    KmsService.FORTANIX: "the audit log of the DSM account: decryptions with {key}, by others than the plugin",
    KmsService.STACKIT: "the audit log of the project: decrypt, {key}",
    KmsService.JWE: "the token's own audit log, where it keeps one: decryptions with {key}; SoftHSM keeps none",
    KmsService.AES_GCM: "the token's own audit log, where it keeps one: decryptions with {key}; SoftHSM and "
    "files keep none",
}
"""Where each service records that a data key was unwrapped; `{key}` stands for the key."""
_ANY = {
    KmsService.AWS: "any key",
    KmsService.GCP: "any key",
    KmsService.AZURE: "the key's URL",
    KmsService.TRANSIT: "KEY",
}
SINCE = "since the day it was made"


def sentences(audit: Audit) -> list[str]:
    """What a restore needs of each KEK that the evidence names, what its plugin's Pod says, and how its use is seen."""
    keks: dict[tuple[str, Kek], None] = {}
    for usage in audit.keys:
        if usage.kek is not None and usage.values:
            pair = (f"{usage.provider.label}/{usage.key_name}", usage.kek)
            keks[pair] = None
    lines = [_needs(label, kek) for label, kek in keks]
    lines += dict.fromkeys(_answered(usage) for usage in audit.keys if usage.answered)
    lines += [text for plugin in audit.plugins for text in _plugin(plugin, _name_of(plugin, audit))]
    since = f"{SINCE} ({audit.evidence.cluster.newest} or later)" if audit.evidence.cluster.newest else SINCE
    return [*lines, *dict.fromkeys(filter(None, (trail(kek, since) for _, kek in keks)))]


def _name_of(plugin: PluginSuggestion, audit: Audit) -> str:
    """The name of the one KMS whose values are of a plugin's service; NAME where there are none or several."""
    names = {usage.key_name for usage in audit.keys if usage.kek is not None and usage.kek.service is plugin.service}
    (name,) = names if len(names) == 1 else ("NAME",)
    return name or "NAME"


def _plugin(plugin: PluginSuggestion, name: str) -> Iterator[str]:
    """What the plugin's own Pod says: a command for a reader to judge, and credentials."""
    now = "" if plugin.current else ", which is not current,"
    where = f"the Pod {plugin.pod}, container {plugin.container},{now} runs a plugin of {plugin.service.value}"
    for url in plugin.urls:
        yield f"{where}; its arguments suggest, and nothing here has used: --kms {quote(f'{name}={url}')}"
    if not plugin.urls:
        yield f"{where}; its arguments name no whole key"
    for credential in plugin.credentials:
        yield f"{where}; {credential} is a credential in clear: scan reports it as key-present"


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
        "log": trail(kek, SINCE),
    }


def trail(kek: Kek, since: str) -> str:
    """What to look for in the service's log, to learn whether whoever has the evidence used the KEK.

    Args:
        kek: the KEK.
        since: from when on.
    """
    template = TRAILS.get(kek.service)
    if template is None:
        return ""
    key = kek.key or _ANY.get(kek.service, "the key")
    return f"whether a copy of this evidence was decrypted: {template.format(key=key)}, {since}"


def plugins(audit: Audit) -> list[dict[str, Any]]:
    """The plugins that run in the cluster, in plain values."""
    return [
        {
            "service": plugin.service.value,
            "pod": plugin.pod,
            "container": plugin.container,
            "current": plugin.current,
            "suggested": list(plugin.urls),
            "credentials": list(plugin.credentials),
        }
        for plugin in audit.plugins
    ]


def _answered(usage: KeyUsage) -> str:
    """Which keys really unwrapped, beside the one that the evidence names."""
    claimed = usage.kek.key if usage.kek is not None else ""
    said = f", where the evidence names {claimed}" if claimed else ""
    if claimed and {key.partition(", ")[0] for key in usage.answered} == {claimed}:  # a version may follow
        said = ", as the evidence says"
    return f"data keys of {usage.provider.label}/{usage.key_name} were unwrapped by {', '.join(usage.answered)}{said}"


def _needs(label: str, kek: Kek) -> str:
    parts = [kek.service.value + (f" ({kek.plugin})" if kek.plugin else "")]
    parts += [f"key {kek.key}"] if kek.key else []
    parts += [f"version {kek.version}"] if kek.version else []
    parts += [f"region {kek.region}"] if kek.region else []
    needs = f"; a restore needs {', '.join(kek.needs)}" if kek.needs else ""
    remark = f"; {kek.remark}" if kek.remark else ""
    return f"data keys of {label} are wrapped by {', '.join(parts)}{needs}{remark}"
