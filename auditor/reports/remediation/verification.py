"""The commands that verify a rewrite: what they look at, the options they take of the audit, and those they do not."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from auditor.encryption.kms import address
from auditor.model.audit import Audit
from auditor.model.vocabulary import Place
from auditor.options import Setting
from auditor.reports.remediation.objects import Group
from auditor.text import shown

NOT_VERIFIED_WITH = {
    "compromised_keys": "--compromised-key",
    "use_found_keys": "--use-found-keys",
    "use_found_config": "--use-found-config",
    "k3s_token": "--k3s-token",
}
"""Options of an audit that the commands which verify do not take."""


def options(settings: Mapping[str, Setting], resources: Sequence[str], prefix: str) -> tuple[str, ...]:
    """The options of a policy as words of a command, with absolute paths.

    Args:
        settings: The options of the run, by name.
        resources: What is to be verified.
        prefix: The storage prefix of the objects, where none was given.
    """
    words = [f"--resource={name}" for name in resources]
    words += [f"--storage-prefix={name}" for name in texts(settings["storage_prefixes"]) or (prefix,)]
    words += [f"--encryption-config={Path(path).absolute()}" for path in texts(settings["encryption_configs"])]
    words += [f"--kms-plugin={name}" for name in texts(settings["kms_plugins"])]
    if kms := texts(settings["kms"]):
        words += [*(f"--kms={address.absolute(text)}" for text in kms), "--yes"]
        words += [f"--kms-budget={settings['kms_budget']}"] if settings["kms_budget"] else []
    words += [f"--current-kek={name}" for name in texts(settings["current_keks"])]
    if settings["expect"] != "encrypted":
        words.append(f"--expect={settings['expect']}")
    return tuple(words)


def resources(audit: Audit, groups: Sequence[Group]) -> tuple[str, ...]:
    """The resources that are verified: those asked for, and what a configuration adds of which there are objects."""
    current = {group.resource for group in groups}
    current |= {entry.resource for entry in audit.coverage if entry.place is Place.LATEST}
    asked = {name.rstrip(".") for name in texts(dict(audit.run.options)["resources"])}
    return tuple(name for name in audit.resources if name in asked | current)


def differences(settings: Mapping[str, Setting]) -> list[str]:
    """Lines of the first screen on how the commands that verify differ from the audit."""
    lines = []
    if kms := texts(settings["kms"]):
        names = ", ".join(shown(address.parse(text).name) for text in kms)
        lines.append(f"verifying asks --kms of {names} for what it wrapped, as the audit did, without another question")
    if absent := [option for name, option in NOT_VERIFIED_WITH.items() if settings.get(name)]:
        lines.append(f"verifying is without {', '.join(absent)} of the audit: it says nothing of what they decide")
    return lines


def texts(setting: Setting) -> tuple[str, ...]:
    return setting if isinstance(setting, tuple) else ()
