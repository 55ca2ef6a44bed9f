"""The options of a run."""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

Setting: TypeAlias = str | bool | int | tuple[str, ...]
"""The value of one option."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to audit, and how far. Paths are those of the command line; an empty text is an option without a value."""

    resources: tuple[str, ...] = ("secrets",)
    """Names of the resources to judge, as in an EncryptionConfiguration, or `*`."""
    storage_prefixes: tuple[str, ...] = ()
    """Prefixes of the etcd keys (--etcd-prefix of kube-apiserver); none for those that the keys show."""
    encryption_configs: tuple[str, ...] = ()
    """EncryptionConfiguration files to open and judge with."""
    companion_configs: tuple[tuple[str, str], ...] = ()
    """Files of folders that were named which may hold a configuration, and the folder whose evidence each is of."""
    beside_texts: tuple[str, ...] = ()
    """Files of folders that were named which are known to hold no values: a hunt searches those beside the evidence."""
    keeps_texts: bool = False
    """Whether they, and those that archives hold, are kept for another search."""
    opening_only: bool = False
    """Whether they are of another state than the evidence: values are opened with them, and not held to them."""
    kms_plugins: tuple[str, ...] = ()
    """KMS plugins that may be called, `NAME` or `NAME=unix:///path`; no other is."""
    kms: tuple[str, ...] = ()
    """KMSes that may be called in their plugins' place, `NAME=URL`; no other is."""
    kms_budget: int = 0
    """Most calls of them all; 0 for as many as there are wrapped keys."""
    kms_prove: bool = False
    """Whether one value of each distinct wrapped key is decrypted, and no other."""
    kms_confirmed: bool = False
    """Whether they may be called without asking anybody (--yes)."""
    current_keks: tuple[str, ...] = ()
    """Current key-encryption keys of KMS v2, `NAME=KEYID`."""
    expect: str = "encrypted"
    """State that values must be in: `encrypted`, `plaintext`, or `PROVIDER[:KEY]`."""
    compromised_keys: tuple[str, ...] = ()
    """Keys that others have, `PROVIDER:NAME`."""
    wal_dir: str = ""
    """Folder of the WAL of a data directory, where it lies elsewhere."""
    raw: bool = False
    """Whether a database file alone is a member's own, member/snap/db, not a snapshot that has lost its trailer."""
    carve: bool = False
    """Whether the evidence is raw bytes, whose values are met by signature, whatever it seems to be."""
    unnamed_pipes: tuple[str, ...] = ()
    """Pipes and devices that were met in folders: they are not opened, where one that is named is read."""
    work_dir: str = ""
    """Folder of private, unlinked files; the system's temporary folder where empty."""
    keep: str = ""
    """File to keep the snapshot of a live endpoint in."""
    keep_force: bool = False
    """Whether `keep` may overwrite a file."""
    range_only: bool = False
    """Whether only the current keys of a live endpoint are read, under the storage prefixes or /registry."""
    expect_sha256: str = ""
    """SHA-256 of the evidence in hex, checked before it is read; other evidence is refused."""
    expect_cluster: str = ""
    """Uid of the kube-system namespace; evidence of another cluster is refused."""
    case: str = ""
    """Case to file the report under."""
    origin: tuple[tuple[str, str], ...] = ()
    """Name and text of what the caller knows of where the run is made: for the chain of custody alone."""
    hunt: bool = False
    """Whether copies of Secrets' values and of keys are looked for."""
    hunt_min_length: int = 8
    """Bytes of the shortest value that the hunt looks for."""
    hunt_fields: tuple[str, ...] = ()
    """Names of data that the hunt looks for, whatever their values are."""
    use_found_keys: bool = False
    """Whether values are opened with keys that the evidence holds."""
    use_found_config: bool = False
    """Whether values are opened and judged by the encryption configurations beside the evidence."""
    neighbours: tuple[str, ...] = ()
    """Paths and URLs of objects that lie with the evidence: whoever holds both reads what their keys decrypt."""
    neighbour_keys: tuple[Any, ...] = field(default=(), repr=False, compare=False)
    """Each a Neighbour of `hunt.neighbours`: keys of other backups, which stay in the process that reads them."""
    k3s_token: str = ""
    """File with the server token, which opens the record of keys of k3s and RKE2."""
    max_unpacked: int = 64 << 30
    """Bytes that one container may unpack to."""
    max_ratio: int = 250
    """Bytes that a container may unpack to for each byte of its own."""
    baseline: str = ""
    """Earlier JSON report to compare with."""
    ignore: str = ""
    """File of accepted findings."""
    redact_names: bool = False
    """Whether pseudonyms stand for namespaces and names: ordinals, or with `redact_key` an HMAC."""
    redact_key: str = ""
    """File with the key of the pseudonyms."""
    current: str = ""
    """Newer evidence of the same cluster, which decides what is current; empty for the evidence itself."""
    current_configs: tuple[str, ...] = ()
    """EncryptionConfiguration files of the newer evidence; none for `encryption_configs`."""
    as_of: str = ""
    """Time by which something counts as expired, ISO 8601; empty for the time of the run."""
    quick: bool = False
    """Whether hashes are left out, and all that no root reaches."""
    accept_partial: bool = False
    """Whether the conclusion may be complete without what --quick or --range leaves out."""
    rows: bool = True
    """Whether Audit.rows is built; reports other than the summary need it."""
    leading: int = 0
    """Number of objects with findings whose rows are built where not all are: the summary names them."""
    rotation: bool = False
    """Whether Audit.rotation is built: the list of what to rotate."""
    owners: str = ""
    """File of globs of Secrets and the teams that they belong to."""
    owner_label: str = ""
    """Label of namespaces that names their team."""
    listed: bool = True
    """Whether `used_by` is told of every value; else of those with findings alone, where no inventory is asked for."""


def settings(options: Options) -> dict[str, Setting]:
    """The options under the names that reports promise (`run.options`), whatever a field is called.

    `rows`, `leading`, `listed` and `origin` are not among them, which concern the reports, nor `opening_only`, which a
    comparison decides, nor `kms_confirmed`, which is of one run alone, nor `neighbours` and `neighbour_keys`, which
    a fleet's listing decides.
    """
    return {
        "resources": options.resources,
        "storage_prefixes": options.storage_prefixes,
        "encryption_configs": options.encryption_configs,
        "kms_plugins": options.kms_plugins,
        "kms": options.kms,
        "kms_budget": options.kms_budget,
        "kms_prove": options.kms_prove,
        "current_keks": options.current_keks,
        "expect": options.expect,
        "compromised_keys": options.compromised_keys,
        "wal_dir": options.wal_dir,
        "raw": options.raw,
        "carve": options.carve,
        "work_dir": options.work_dir,
        "keep": options.keep,
        "keep_force": options.keep_force,
        "range_only": options.range_only,
        "expect_sha256": options.expect_sha256,
        "expect_cluster": options.expect_cluster,
        "case": options.case,
        "hunt": options.hunt,
        "hunt_min_length": options.hunt_min_length,
        "hunt_fields": options.hunt_fields,
        "use_found_keys": options.use_found_keys,
        "use_found_config": options.use_found_config,
        "k3s_token": options.k3s_token,
        "max_unpacked": options.max_unpacked,
        "max_ratio": options.max_ratio,
        "baseline": options.baseline,
        "ignore": options.ignore,
        "redact_names": options.redact_names,
        "redact_key": options.redact_key,
        "current": options.current,
        "current_configs": options.current_configs,
        "as_of": options.as_of,
        "quick": options.quick,
        "accept_partial": options.accept_partial,
        "rotation": options.rotation,
        "owners": options.owners,
        "owner_label": options.owner_label,
    }
