"""etcd-auditor diff."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from auditor.cli import live_options, worker
from auditor.cli.options import Configurations, Keks, Level, Plugins, Prefixes, WorkDir
from auditor.evidence.live.access import TIMEOUT

CODES = (
    "Exit codes: 0 AFTER is as expected and everything on both sides was read; 1 something in AFTER is not: a finding "
    "at or above --fail-on, leftovers included, BEFORE is not as --expect-before says, or, with --same-content, an "
    "object appeared, vanished or changed; 2 bad usage, other clusters or the wrong order, nothing readable, or a "
    "fault of the auditor's own; 3 no such thing, and something was not read or not concluded on."
)


def diff(
    before: Annotated[str, typer.Argument(help="Evidence of before the migration.", show_default=False)],
    after: Annotated[str, typer.Argument(help="Evidence of after it, or https://HOST:2379.", show_default=False)],
    resource: Annotated[
        list[str],
        typer.Option(help="What to compare, as an EncryptionConfiguration names it; repeatable; '*' for all."),
    ] = ["secrets"],  # noqa: B006
    storage_prefix: Prefixes = None,
    encryption_config: Configurations = None,
    before_config: Annotated[
        list[Path] | None,
        typer.Option(help="An EncryptionConfiguration of BEFORE, instead; repeatable.", show_default=False),
    ] = None,
    after_config: Annotated[
        list[Path] | None,
        typer.Option(help="An EncryptionConfiguration of AFTER, instead; repeatable.", show_default=False),
    ] = None,
    kms_plugin: Plugins = None,
    current_kek: Keks = None,
    expect: Annotated[
        str, typer.Option(help="What AFTER must be: encrypted, plaintext, or the write provider: PROVIDER[:KEY].")
    ] = "encrypted",
    expect_before: Annotated[
        str, typer.Option(help="What BEFORE must have been, its current values only.", show_default=False)
    ] = "",
    same_content: Annotated[
        bool, typer.Option("--same-content", help="Nothing may have appeared, vanished or changed but the form.")
    ] = False,
    different_clusters: Annotated[
        bool, typer.Option("--different-clusters", help="Compare evidence of two clusters.")
    ] = False,
    any_order: Annotated[
        bool, typer.Option("--any-order", help="Compare though AFTER's revision is the older one.")
    ] = False,
    fail_on: Annotated[Level, typer.Option(help="The least severity that makes the exit code 1.")] = Level.MEDIUM,
    before_wal_dir: Annotated[
        Path | None, typer.Option(help="The WAL of BEFORE, where it lies elsewhere.", show_default=False)
    ] = None,
    after_wal_dir: Annotated[
        Path | None, typer.Option(help="The WAL of AFTER, where it lies elsewhere.", show_default=False)
    ] = None,
    endpoint: live_options.More = None,
    cacert: live_options.CaCert = None,
    cert: live_options.Cert = None,
    key: live_options.Key = None,
    server_name: live_options.ServerName = "",
    user: live_options.User = "",
    password_file: live_options.PasswordFile = None,
    timeout: live_options.Timeout = TIMEOUT,
    work_dir: WorkDir = None,
    range_only: Annotated[
        bool,
        typer.Option(
            "--range",
            help="Of an endpoint read only the current keys under --storage-prefix (/registry).",
            rich_help_panel=live_options.PANEL,
        ),
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Only latest, history and deleted; no hashing.")] = False,
    accept_partial: Annotated[
        bool,
        typer.Option(
            "--accept-partial",
            help="Let --quick or --range conclude: what they leave out does not make the exit code 3.",
        ),
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write every object, one row each; - for standard output.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the comparison as one HTML file.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the comparison as JSON; - for standard output.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite reports that exist.")] = False,
) -> None:
    """Verify a migration: what became encrypted, was re-keyed, left, appeared, vanished or changed in between."""

    from auditor import Options
    from auditor.cli import diff as command
    from auditor.errors import UsageError
    from auditor.model.vocabulary import Severity

    if range_only and not (live_options.is_live(before) or live_options.is_live(after)):
        raise UsageError("--range belongs to a live endpoint: https://HOST:2379")

    def options(evidence: str, configurations: list[Path] | None, wal_dir: Path | None, expected: str) -> Options:
        return Options(
            resources=tuple(resource),
            storage_prefixes=tuple(storage_prefix or ()),
            encryption_configs=tuple(map(str, configurations or encryption_config or ())),
            kms_plugins=tuple(kms_plugin or ()),
            current_keks=tuple(current_kek or ()),
            expect=expected,
            wal_dir=str(wal_dir or ""),
            work_dir=str(work_dir or ""),
            range_only=range_only and live_options.is_live(evidence),
            quick=quick,
            accept_partial=accept_partial,
        )

    request = command.DiffRequest(
        before=before,
        after=after,
        live=live_options.LiveOptions(
            tuple(endpoint or ()), cacert, cert, key, server_name, user, password_file, timeout
        ),
        before_options=options(before, before_config, before_wal_dir, expect_before or "encrypted"),
        after_options=options(after, after_config, after_wal_dir, expect),
        expect_before=expect_before,
        same_content=same_content,
        different_clusters=different_clusters,
        any_order=any_order,
        fail_on=Severity[fail_on.name],
        csv=csv,
        html=html,
        json=json,
        force=force,
    )
    raise typer.Exit(worker.run(partial(command.run, request)))
