"""A second real token behind PKCS#11: the software token of Debian's package opencryptoki, which knows OAEP by SHA-256.

Its daemon and its token are the machine's: root, and a machine that has none of its own in them.
"""

import subprocess
import time
from pathlib import Path

MODULE = "/usr/lib/x86_64-linux-gnu/pkcs11/libopencryptoki.so"
FOLDER = Path("/var/lib/opencryptoki/swtok")
WANTED = "ETCD_AUDITOR_TEST_OPENCRYPTOKI"
"""The variable that says that the machine may be used."""
TOKEN, PIN, SLOT = "etcd", "47114711", "3"
_OFFICER, _FIRST_OFFICER = "76543210", "87654321"


def prepare() -> None:
    """Start the daemon, and make the token new: everything in it is gone."""
    for path in FOLDER.rglob("*"):
        if path.is_file():
            path.unlink()
    subprocess.run(["pkill", "pkcsslotd"], check=False)  # it forgets the token of before
    while subprocess.run(["pgrep", "pkcsslotd"], check=False, capture_output=True).returncode == 0:
        time.sleep(0.05)
    subprocess.run(["pkcsslotd"], check=True)
    _said("-I", _FIRST_OFFICER, TOKEN)
    _said("-P", _FIRST_OFFICER, _OFFICER, _OFFICER)
    _said("-u", _OFFICER, PIN, PIN)


def _said(option: str, *answers: str) -> str:
    """What the token's program prints; it asks for what it needs, in this order."""
    done = subprocess.run(
        ["pkcsconf", option, "-c", SLOT],
        input="".join(f"{answer}\n" for answer in answers),
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout
