"""Options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from auditor import inputs
from auditor.encryption.kms import address
from auditor.options import Options


class Level(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


Evidence = Annotated[
    str,
    typer.Argument(
        help="An etcd snapshot, a raw member/snap/db, a data directory, a container of such (zip, tar, gzip, zstd, xz, "
        "bzip2, lz4, zlib), https://HOST:2379, or the URL of an object (s3, gs, az, https).",
        show_default=False,
        envvar="ETCDCTL_ENDPOINTS",
    ),
]
Evidences = Annotated[
    list[str],
    typer.Argument(
        help="Etcd snapshots, raw member/snap/db files, data directories, containers of such (zip, tar, gzip, zstd, "
        "xz, bzip2, lz4, zlib), folders of them, patterns, URLs of objects (s3, gs, az, https); or one "
        "https://HOST:2379.",
        show_default=False,
        envvar="ETCDCTL_ENDPOINTS",
    ),
]
WorkDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder for what is unpacked or streamed, in files without a name; the system's temporary folder when "
        "left out.",
        show_default=False,
    ),
]
MaxUnpacked = Annotated[int, typer.Option(min=1, help="Bytes that one container may unpack to.")]
MaxRatio = Annotated[int, typer.Option(min=1, help="Bytes that it may unpack to for each byte of its own.")]
WalDir = Annotated[
    Path | None, typer.Option(help="The WAL of a data directory, where it lies elsewhere.", show_default=False)
]
Raw = Annotated[
    bool,
    typer.Option(
        "--raw", help="The evidence is a member's own file, member/snap/db: it has no trailer that could be missing."
    ),
]
Carve = Annotated[
    bool,
    typer.Option(
        "--carve",
        help="The evidence is raw bytes (a disk image, a block device, a memory dump): look for stored values by "
        "signature, whatever their alignment.",
    ),
]
Prefixes = Annotated[
    list[str] | None,
    typer.Option(
        "--storage-prefix",
        help="kube-apiserver's --etcd-prefix; repeatable. Default: detected.",
        show_default=False,
    ),
]
Configurations = Annotated[
    list[Path] | None,
    typer.Option(
        "--encryption-config",
        help="An EncryptionConfiguration; repeatable for several API servers.",
        show_default=False,
    ),
]
Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--kms-plugin", help="NAME[=unix:///path]: a KMS plugin that may be called; repeatable.", show_default=False
    ),
]
Kms = Annotated[
    list[str] | None,
    typer.Option(
        "--kms",
        help="NAME=URL: a KMS that may be called in its plugin's place (aws:REGION, gcp:KEY, azure:https://VAULT, "
        "vault:https://HOST/MOUNT/KEY, pkcs11:MODULE, file:PATH); "
        "* for every NAME; repeatable.",
        show_default=False,
    ),
]
KmsBudget = Annotated[
    int,
    typer.Option("--kms-budget", min=0, help="Most calls of --kms; 0: as many as there are wrapped keys."),
]
KmsProve = Annotated[
    bool, typer.Option("--kms-prove", help="Decrypt one value of each wrapped key through --kms, and no other.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Make the calls of --kms without asking.")]
Keks = Annotated[
    list[str] | None,
    typer.Option("--current-kek", help="NAME=KEYID: the KEK in force of a KMS; repeatable.", show_default=False),
]
Resources = Annotated[
    list[str],
    typer.Option(
        "--resource",
        help="What must be encrypted, as an EncryptionConfiguration names it; repeatable; '*' for all.",
    ),
]
Expect = Annotated[str, typer.Option(help="encrypted, plaintext, or the write provider: PROVIDER[:KEY].")]
CompromisedKeys = Annotated[
    list[str] | None,
    typer.Option(help="PROVIDER:NAME of a key that must decrypt nothing; repeatable.", show_default=False),
]
Current = Annotated[
    str | None,
    typer.Option(
        "--current",
        help="Newer evidence of the same cluster (a snapshot, a data directory, https://HOST:2379): what is current in "
        "it decides what leftovers hold.",
        show_default=False,
    ),
]
CurrentConfigurations = Annotated[
    list[Path] | None,
    typer.Option(
        "--current-config",
        help="An EncryptionConfiguration of the evidence of --current, instead; repeatable.",
        show_default=False,
    ),
]
AsOf = Annotated[
    str, typer.Option(help="The time by which something has expired, ISO 8601; now when left out.", show_default=False)
]
Token = Annotated[
    Path | None,
    typer.Option(
        "--k3s-token",
        help="File with k3s' or RKE2's server token: it decrypts their record of keys.",
        show_default=False,
    ),
]
SigningKey = Annotated[
    Path | None,
    typer.Option(
        "--sign",
        help="An SSH key: the list of checksums of the reports is signed with it, by ssh-keygen. A public key's file "
        "where an agent holds the private one.",
        show_default=False,
    ),
]
TimeStamp = Annotated[
    str,
    typer.Option(
        "--timestamp",
        help="URL of a time-stamping authority (RFC 3161): the list of checksums of the reports gets a time stamp. The "
        "authority learns its hash alone.",
        metavar="URL",
        show_default=False,
    ),
]
BaselineReport = Annotated[
    Path | None,
    typer.Option(
        "--baseline", help="An earlier JSON report: say what is new, still there and gone.", show_default=False
    ),
]
Ignore = Annotated[
    Path | None,
    typer.Option(
        "--ignore", help="A YAML file of accepted findings, each with a reason and a date.", show_default=False
    ),
]
RedactKey = Annotated[
    Path | None,
    typer.Option(
        "--redact-key",
        help="File with a key: pseudonyms that match between reports made with it.",
        show_default=False,
    ),
]
Range = Annotated[
    bool,
    typer.Option(
        "--range",
        help="Read only the current keys under --storage-prefix (/registry), or those that the user's roles may read, "
        "without the root role.",
        rich_help_panel="Live etcd",
    ),
]
FailOn = Annotated[Level, typer.Option(help="Minimum severity that fails the run (exit 1).")]
Quick = Annotated[bool, typer.Option("--quick", help="Only latest, history and deleted; no hashing.")]
AcceptPartial = Annotated[
    bool,
    typer.Option(
        "--accept-partial",
        help="Let --quick or --range conclude: what they leave out does not make the exit code 3.",
    ),
]
Hunt = Annotated[bool, typer.Option("--hunt", help="Look for copies of Secrets' values, and for keys, everywhere.")]
HuntMinLength = Annotated[int, typer.Option(min=4, help="Bytes of the shortest value that --hunt looks for.")]
HuntFields = Annotated[
    list[str] | None,
    typer.Option(help="A field of Secrets that --hunt looks for whatever it holds; repeatable.", show_default=False),
]
UseFoundKeys = Annotated[bool, typer.Option("--use-found-keys", help="Open with keys that lie in the evidence itself.")]
UseFoundConfig = Annotated[
    bool,
    typer.Option(
        "--use-found-config", help="Judge and open by the encryption configuration that came with the evidence."
    ),
]


def reading(*, raw: bool, carve: bool) -> dict[str, Any]:
    """The library's options of what the evidence is taken for."""
    return {"raw": raw, "carve": carve}


def kms_options(kms: list[str] | None, budget: int, *, yes: bool, prove: bool = False) -> dict[str, Any]:
    """The library's options from those of --kms.

    Args:
        kms: NAME=URL of each.
        budget: of --kms-budget.
        yes: whether --yes is given.
        prove: whether --kms-prove is given.
    """
    return {"kms": kms, "kms_budget": budget, "kms_prove": prove, "kms_confirmed": yes}


def library_options(**values: Any) -> Options:
    """The library's options from a command's: lists become tuples, paths text; an absent option keeps its default.

    Raises UsageError for a pipe that cannot be read: those of small files are read here, in the first process.
    """
    options = Options(**{name: _plain(value) for name, value in values.items() if value is not None})
    small = (options.k3s_token, options.ignore, options.redact_key, *address.files(options.kms))
    inputs.receive(path for path in (*options.encryption_configs, *small) if path)
    return options


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(str, value))
    return str(value) if isinstance(value, Path) else value
