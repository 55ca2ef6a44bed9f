"""The help of a command: its options in groups, by what they are for; no name is ever cut or broken."""

from collections.abc import Iterator, Sequence
from typing import Any

OTHERS = "Options"
GROUPS = {
    "Scope": "--resource --storage-prefix --wal-dir --before-wal-dir --after-wal-dir --raw --carve --at --source "
    "--quick --value-file --whole --current --as-of",
    "Policy and keys": "--encryption-config --before-config --after-config --current-config --kms-plugin --kms "
    "--kms-budget --kms-prove --current-kek --k3s-token --use-found-keys --use-found-config --compromised-key --expect "
    "--expect-before --hunt --hunt-min-length --hunt-field",
    "Comparison": "--again --same-content --different-clusters --any-order",
    "Pace": "--once --for --every --stuck-after --patience",
    "Outputs": "--html --csv --json --sarif --inventory --dataset --rotation --split-by --owners --owner-label "
    "--remediation --junit --markdown --metrics --redact-names --redact-key --reveal --yes --verbose --names --force",
    "Pipelines": "--fail-on --accept-partial --baseline --ignore --config --schema --jobs",
    "Handling of evidence": "--expect-sha256 --expect-cluster --case --examiner --sign --timestamp --signers "
    "--tsa-roots --statement --work-dir --max-unpacked --max-ratio",
    "Fleet": "--newest-per-cluster --new-only --since --max-age --sample --retention --restore-days --clusters "
    "--migration --from --compare-key --new-compare-key --no-compare --retries --retry-failed --scheduler --dashboard "
    "--tls-ca --tls-cert --tls-key",
    "Live etcd": "--range --keep --endpoint --cacert --cert --key --server-name --user --password-file --timeout",
}
"""The options of every command, by group and in order."""
_GROUP_OF = {option: title for title, options in GROUPS.items() for option in options.split()}
_ORDER = {option: number for number, option in enumerate(_GROUP_OF)}


def write(command: Any, context: Any, formatter: Any) -> None:
    """Write the help of a command.

    Args:
        command: The command, of click's.
        context: Its context.
        formatter: click's formatter of help.
    """
    command.format_usage(context, formatter)
    formatter.write_paragraph()
    formatter.write_text(command.help or "")
    parameters = command.get_params(context)
    arguments = [each for each in parameters if each.param_type_name == "argument"]
    if arguments:
        with formatter.section("Arguments"):
            formatter.write_dl([(_argument(each), _text(each, context)) for each in arguments])
    for title, options in grouped([each for each in parameters if each.param_type_name == "option"]):
        with formatter.section(title):
            formatter.write_dl([(", ".join(sorted(each.opts, key=len)), _text(each, context)) for each in options])
    if command.epilog:
        formatter.write_paragraph()
        formatter.write_text(command.epilog)


def write_group(group: Any, context: Any, formatter: Any) -> None:
    """Write the help of a group of commands.

    Args:
        group: The group, of click's.
        context: Its context.
        formatter: click's formatter of help.
    """
    group.format_usage(context, formatter)
    formatter.write_paragraph()
    formatter.write_text(group.help or "")
    commands = [(name, group.get_command(context, name)) for name in group.list_commands(context)]
    with formatter.section("Commands"):
        formatter.write_dl([(name, command.get_short_help_str(limit=200)) for name, command in commands])
    with formatter.section(OTHERS):
        options = group.get_params(context)
        formatter.write_dl([(", ".join(sorted(each.opts, key=len)), _text(each, context)) for each in options])


def usage(parameters: Sequence[Any]) -> str:
    """What stands behind a command's name in its line of usage: braces for what it needs, brackets for what it may."""
    arguments = [each for each in parameters if each.param_type_name == "argument"]
    names = [(f"{{{_argument(each)}}}" if each.required else f"[{_argument(each)}]", each.nargs) for each in arguments]
    return " ".join(("[OPTIONS]", *(name if nargs == 1 else f"{name}..." for name, nargs in names)))


def grouped(options: Sequence[Any]) -> Iterator[tuple[str, list[Any]]]:
    """The title and the options of each group that a command has options of."""
    for title in (*GROUPS, OTHERS):
        own = [each for each in options if _GROUP_OF.get(name(each), OTHERS) == title]
        if own:
            yield title, sorted(own, key=lambda each: _ORDER.get(name(each), len(_ORDER)))


def name(option: Any) -> str:
    """The name of an option, as users write it in full."""
    return str(max(option.opts, key=len))


def _argument(argument: Any) -> str:
    """The name of an argument, as the usage has it. Typer calls it otherwise since 0.29."""
    attribute = "display_name_raw" if hasattr(argument, "display_name_raw") else "human_readable_name"
    return str(getattr(argument, attribute))


def _text(parameter: Any, context: Any) -> str:
    record = parameter.get_help_record(context)
    return record[1] if record is not None else parameter.help or ""
