"""etcd-auditor scan: run the audit, write the reports, print the summary."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from auditor.cli import commands, live_options, provenance, worker
from auditor.cli.live_options import NOT_LIVE, LiveOptions
from auditor.cli.options import (
    AcceptPartial,
    AsOf,
    BaselineReport,
    Carve,
    CompromisedKeys,
    Configurations,
    Current,
    CurrentConfigurations,
    Evidences,
    Expect,
    FailOn,
    Hunt,
    HuntFields,
    HuntMinLength,
    Ignore,
    Keks,
    Kms,
    KmsBudget,
    KmsProve,
    Level,
    MaxRatio,
    MaxUnpacked,
    Plugins,
    Prefixes,
    Quick,
    Range,
    Raw,
    RedactKey,
    Resources,
    SigningKey,
    TimeStamp,
    Token,
    UseFoundConfig,
    UseFoundKeys,
    WalDir,
    WorkDir,
    Yes,
    kms_options,
    library_options,
    reading,
)
from auditor.cli.scan_request import ScanRequest
from auditor.cli.scan_run import run
from auditor.cli.sealing import Seals
from auditor.model.vocabulary import Severity

CODES = (
    "Exit codes: 0 no finding at or above --fail-on and everything inside the scope was read; "
    "1 a finding at or above --fail-on, unless --ignore accepts it; "
    "2 bad usage, nothing readable, or a fault of the auditor's own; "
    "3 no such finding, and something inside the scope was not read or not concluded. "
    "For several evidence items: 1 where one has a finding, else 3 where one was not read, 2 where none was."
)


@live_options.live_options
def scan(
    evidence: Evidences,
    resource: Resources = ["secrets"],  # noqa: B006
    storage_prefix: Prefixes = None,
    encryption_config: Configurations = None,
    kms_plugin: Plugins = None,
    kms: Kms = None,
    kms_budget: KmsBudget = 0,
    kms_prove: KmsProve = False,
    yes: Yes = False,
    current_kek: Keks = None,
    expect: Expect = "encrypted",
    compromised_key: CompromisedKeys = None,
    live: LiveOptions = NOT_LIVE,
    work_dir: WorkDir = None,
    range_only: Range = False,
    keep: Annotated[
        Path | None,
        typer.Option(
            help="Keep the snapshot taken, as evidence.", show_default=False, rich_help_panel=live_options.PANEL
        ),
    ] = None,
    fail_on: FailOn = Level.MEDIUM,
    wal_dir: WalDir = None,
    raw: Raw = False,
    carve: Carve = False,
    hunt: Hunt = False,
    hunt_min_length: HuntMinLength = 8,
    hunt_field: HuntFields = None,
    use_found_keys: UseFoundKeys = False,
    use_found_config: UseFoundConfig = False,
    k3s_token: Token = None,
    expect_sha256: Annotated[
        str, typer.Option("--expect-sha256", help="Refuse evidence whose SHA-256 is another.", show_default=False)
    ] = "",
    expect_cluster: Annotated[
        str, typer.Option(help="Refuse evidence whose kube-system namespace has another uid.", show_default=False)
    ] = "",
    baseline: BaselineReport = None,
    ignore: Ignore = None,
    redact_names: Annotated[
        bool, typer.Option("--redact-names", help="Put ordinals for namespaces, names and uids in every output.")
    ] = False,
    redact_key: RedactKey = None,
    case: Annotated[str, typer.Option(help="What the reports are to be filed under.", show_default=False)] = "",
    examiner: Annotated[
        str, typer.Option(help="Who runs this: in the chain of custody, with the host's name.", show_default=False)
    ] = "",
    max_unpacked: MaxUnpacked = 64 << 30,
    max_ratio: MaxRatio = 250,
    current: Current = None,
    current_config: CurrentConfigurations = None,
    as_of: AsOf = "",
    quick: Quick = False,
    accept_partial: AcceptPartial = False,
    csv: Annotated[Path | None, typer.Option(help="Write the findings, one row each; - for standard output.")] = None,
    inventory: Annotated[
        Path | None, typer.Option(help="Write every value of the resources, to a .csv or .parquet file.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as one HTML file.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    sarif: Annotated[Path | None, typer.Option(help="Write the findings as SARIF 2.1.0.")] = None,
    remediation: Annotated[
        Path | None, typer.Option(help="Write commands that would remove what was found: they destroy evidence.")
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option(help="Write findings and inventory into a Parquet data set, which may grow.")
    ] = None,
    rotation: Annotated[
        Path | None,
        typer.Option(help="Write what to rotate, in its order, to a .csv or .md file.", show_default=False),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Write the conclusion as JUnit's XML, for a pipeline.", show_default=False)
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the conclusion as Markdown, for a job's summary.", show_default=False)
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="Write figures for Prometheus' textfile collector.", show_default=False)
    ] = None,
    split_by: Annotated[str, typer.Option(help="owner: a file of --rotation for each owner.", show_default=False)] = "",
    owners: Annotated[
        Path | None,
        typer.Option(help="A file of lines `GLOB TEAM`: whose the Secrets NAMESPACE/NAME are.", show_default=False),
    ] = None,
    owner_label: Annotated[
        str, typer.Option(help="The label of namespaces that names their team.", show_default=False)
    ] = "",
    sign: SigningKey = None,
    timestamp: TimeStamp = "",
    jobs: Annotated[
        int, typer.Option(min=0, help="Pieces of evidence that are read at once; 0: by the number of processors.")
    ] = 0,
    force: Annotated[bool, typer.Option("--force", help="Overwrite reports that exist.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print every object, and the coverage of every resource.")
    ] = False,
    names: Annotated[
        bool, typer.Option("--names", help="Name objects where standard output is no terminal, too.")
    ] = False,
) -> None:
    """Audit a snapshot: classify every value of the resources, and report each that is readable."""
    options = library_options(
        resources=resource,
        storage_prefixes=storage_prefix,
        encryption_configs=encryption_config,
        kms_plugins=kms_plugin,
        **kms_options(kms, kms_budget, prove=kms_prove, yes=yes),
        current_keks=current_kek,
        expect=expect,
        compromised_keys=compromised_key,
        wal_dir=wal_dir,
        **reading(raw=raw, carve=carve),
        work_dir=work_dir,
        keep=keep,
        keep_force=force and keep is not None,
        range_only=range_only,
        hunt=hunt,
        hunt_min_length=hunt_min_length,
        hunt_fields=hunt_field,
        use_found_keys=use_found_keys,
        use_found_config=use_found_config,
        k3s_token=k3s_token,
        expect_sha256=expect_sha256,
        expect_cluster=expect_cluster,
        case=case,
        origin=provenance.origin(evidence, case=case, examiner=examiner),
        max_unpacked=max_unpacked,
        max_ratio=max_ratio,
        baseline=baseline,
        ignore=ignore,
        redact_names=redact_names,
        redact_key=redact_key,
        current=current,
        current_configs=current_config,
        as_of=as_of,
        quick=quick,
        accept_partial=accept_partial,
        rotation=rotation is not None,
        owners=owners,
        owner_label=owner_label,
    )
    # fmt: off
    request = ScanRequest(
        evidence=tuple(evidence), live=live, options=options, fail_on=Severity[fail_on.name], csv=csv, json=json,
        inventory=inventory, html=html, sarif=sarif, remediation=remediation, dataset=dataset, rotation=rotation,
        junit=junit, markdown=markdown, metrics=metrics, split_by=split_by, jobs=jobs, force=force, verbose=verbose,
        names=names, origins=tuple(commands.origins().items()), seals=Seals(sign, timestamp),
    )
    # fmt: on
    raise typer.Exit(worker.run(partial(run, request), request.limits))
