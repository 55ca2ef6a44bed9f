"""What a run is asked to do."""

from dataclasses import dataclass
from typing import TypeAlias

Setting: TypeAlias = str | bool | int | tuple[str, ...]
"""The value of one option."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to audit and how far. resources: names as in an EncryptionConfiguration, or `*`.

    encryption_configs: files. kms_plugins: `NAME` or `NAME=unix:///path`, the only plugins that are called.
    current_keks: `NAME=KEYID`. expect: `encrypted`, `plaintext`, or `PROVIDER[:KEY]`. compromised_keys:
    `PROVIDER:NAME`.

    range_only, of an endpoint: read the current keys only, under the storage prefixes or /registry. keep: file that the
    snapshot of an endpoint is kept in; keep_force: even if it exists. work_dir: folder of private, unlinked files.

    wal_dir: the WAL of a data directory, where it lies elsewhere.

    expect_sha256: of the evidence, hex; checked before it is read. expect_cluster: the uid of its kube-system
    namespace. Anything else is refused. case: what the report is to be filed under.

    hunt: look for copies of Secrets' values and of keys; hunt_min_length: bytes of the shortest value; hunt_fields:
    names of data that are looked for whatever they hold. use_found_keys: open with keys that the evidence holds.
    use_found_config: judge and open by the encryption configurations in files that came with the evidence.
    k3s_token: file with the server token, which opens k3s' and RKE2's own record of their keys.

    max_unpacked: bytes that may come out of one container; max_ratio: for each of its own bytes.

    baseline: an earlier JSON report, to be compared with. ignore: a file of findings that are accepted. redact_names:
    put ordinals for namespaces and names, or with redact_key, a file, pseudonyms that depend on it.

    quick: no hashing, and only what a root reaches. accept_partial: what --quick or --range leaves out does not keep
    the conclusion from being complete. rows: make a Row of every value; reports other than the summary need them.
    """

    resources: tuple[str, ...] = ("secrets",)
    storage_prefixes: tuple[str, ...] = ()
    encryption_configs: tuple[str, ...] = ()
    kms_plugins: tuple[str, ...] = ()
    current_keks: tuple[str, ...] = ()
    expect: str = "encrypted"
    compromised_keys: tuple[str, ...] = ()
    wal_dir: str = ""
    work_dir: str = ""
    keep: str = ""
    keep_force: bool = False
    range_only: bool = False
    expect_sha256: str = ""
    expect_cluster: str = ""
    case: str = ""
    hunt: bool = False
    hunt_min_length: int = 8
    hunt_fields: tuple[str, ...] = ()
    use_found_keys: bool = False
    use_found_config: bool = False
    k3s_token: str = ""
    max_unpacked: int = 64 << 30
    max_ratio: int = 250
    baseline: str = ""
    ignore: str = ""
    redact_names: bool = False
    redact_key: str = ""
    quick: bool = False
    accept_partial: bool = False
    rows: bool = True


def settings(options: Options) -> dict[str, Setting]:
    """The options under the names that reports promise (`run.options`), whatever a field is called.

    `rows` is not among them: it says which reports are made, not what is audited.
    """
    return {
        "resources": options.resources,
        "storage_prefixes": options.storage_prefixes,
        "encryption_configs": options.encryption_configs,
        "kms_plugins": options.kms_plugins,
        "current_keks": options.current_keks,
        "expect": options.expect,
        "compromised_keys": options.compromised_keys,
        "wal_dir": options.wal_dir,
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
        "quick": options.quick,
        "accept_partial": options.accept_partial,
    }
