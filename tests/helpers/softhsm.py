"""A real token behind PKCS#11: SoftHSM of Debian's package softhsm2, with its own folder."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pkcs11

from auditor.encryption.kms.pkcs11 import clear_openssl

MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
)
PIN, TOKEN = "4711-CANARY-0d5a7e", "etcd"
ENVIRONMENT = "SOFTHSM2_CONF"


def module() -> str:
    """Path of the library; empty where softhsm2 is not installed."""
    return next((path for path in MODULES if Path(path).exists()), "") if shutil.which("softhsm2-util") else ""


def configure(folder: Path) -> Path:
    """A token in a folder of the test's; the path of the module's configuration."""
    tokens = folder / "tokens"
    tokens.mkdir()
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", TOKEN, "--pin", PIN, "--so-pin", "1234"],
        check=True,
        capture_output=True,
        env={**os.environ, ENVIRONMENT: str(config)},
    )
    return config


@contextmanager
def session() -> Iterator[Any]:
    """A session that may write, of a process whose environment names the configuration."""
    library = pkcs11.lib(module())
    clear_openssl()
    with library.get_token(token_label=TOKEN).open(rw=True, user_pin=PIN) as opened:
        yield opened
