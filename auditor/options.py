"""What a run is asked to do."""

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all while the evidence is hashed."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to audit and how far. resources: names as in an EncryptionConfiguration, or `*`.

    encryption_configs: files. kms_plugins: `NAME` or `NAME=unix:///path`, the only plugins that are called.
    current_keks: `NAME=KEYID`. expect: `encrypted`, `plaintext`, or `PROVIDER[:KEY]`. compromised_keys:
    `PROVIDER:NAME`.

    wal_dir: the WAL of a data directory, where it lies elsewhere.

    quick: no hashing, and only what a root reaches. accept_partial: what --quick leaves out does not keep the
    conclusion from being complete. rows: make a Row of every value; reports other than the summary need them.
    """

    resources: tuple[str, ...] = ("secrets",)
    storage_prefixes: tuple[str, ...] = ()
    encryption_configs: tuple[str, ...] = ()
    kms_plugins: tuple[str, ...] = ()
    current_keks: tuple[str, ...] = ()
    expect: str = "encrypted"
    compromised_keys: tuple[str, ...] = ()
    wal_dir: str = ""
    quick: bool = False
    accept_partial: bool = False
    rows: bool = True
