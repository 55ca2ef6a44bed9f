"""The beginning of stored values as the write provider writes them, in the words of the script's template."""

import re

from auditor.errors import UsageError
from auditor.judgement.policy import Policy
from auditor.kubernetes.prefixes import ENCRYPTED, PREFIXES
from auditor.model.vocabulary import Provider
from auditor.text import printable

ANY, PLAIN = "any", "plain"
"""Any encrypted value, and any that is not."""
_PRINTABLE = re.compile(r"[ -~]*")


def form(policy: Policy, resource: str) -> str:
    """ANY, PLAIN, or how etcdctl's `fields` begin a value of this resource: Go's %q without its first quotation mark.

    Raises UsageError where a rewrite would bring about no such form.
    """
    if policy.plaintext:
        return PLAIN
    writes = {
        (entries[0].provider, entries[0].keys[0].name if entries[0].keys else entries[0].name)
        for configuration in policy.configurations
        for entries in (configuration.providers_for(resource),)
        if entries
    }
    if len(writes) > 1:
        raise UsageError(
            f"--remediation: the configurations write {resource} under different keys: give all API servers the same "
            "write key first"
        )
    write = policy.write(resource)
    if write is None:
        return ANY
    provider, name, _ = write
    if provider is Provider.IDENTITY:
        raise UsageError(
            f"--remediation: the configuration writes {resource} in plain: put an encrypting provider first, restart "
            "the API servers, and give that configuration"
        )
    if provider not in PREFIXES:
        return ANY
    prefix = (ENCRYPTED + PREFIXES[provider]).decode()
    if not name:
        return prefix
    if not _PRINTABLE.fullmatch(name):
        raise UsageError(f"--remediation: etcdctl cannot show the key name {printable(name.encode())}: rename it")
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f"{prefix}{quoted}:"
