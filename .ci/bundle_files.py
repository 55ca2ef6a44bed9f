"""Files of an offline bundle that are made of its wheels: requirements with hashes, licences, install scripts.

python .ci/bundle_files.py FOLDER PLATFORM PYTHON
"""

import hashlib
import re
import sys
import zipfile
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from target import holds

SH = """#!/bin/sh
# Installs etcd-auditor from the wheels beside this script: no network, no build tools.
#   sh install.sh FOLDER     PYTHON=python3.12 names another Python
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ "$#" = 1 ] || { echo "usage: sh install.sh FOLDER" >&2; exit 2; }
(cd "$here" && sha256sum -c --quiet SHA256SUMS) || { echo "install.sh: a file of the bundle was changed" >&2; exit 1; }
"${PYTHON:-python3}" -m venv "$1"
"$1/bin/python" -m pip install --quiet --no-index --no-deps --find-links "$here/wheels" --require-hashes \\
  -r "$here/requirements.txt"
"$1/bin/etcd-auditor" --version
"""
PS1 = """# Installs etcd-auditor from the wheels beside this script: no network, no build tools.
#   powershell -ExecutionPolicy Bypass -File install.ps1 FOLDER
param([Parameter(Mandatory = $true)][string]$Folder, [string]$Python = "py")
$ErrorActionPreference = "Stop"
$here = Split-Path -Parent $MyInvocation.MyCommand.Path
foreach ($line in Get-Content "$here/SHA256SUMS") {
    $sum, $name = $line -split "  ", 2
    $found = (Get-FileHash -Algorithm SHA256 "$here/$name").Hash
    if ($found -ne $sum) { throw "a file of the bundle was changed: $name" }
}
& $Python -m venv $Folder
if ($LASTEXITCODE) { throw "no virtual environment could be made" }
& "$Folder/Scripts/python.exe" -m pip install --quiet --no-index --no-deps --find-links "$here/wheels" `
    --require-hashes -r "$here/requirements.txt"
if ($LASTEXITCODE) { throw "the wheels could not be installed" }
& "$Folder/Scripts/etcd-auditor.exe" --version
"""
LICENCES = ("licen", "copying", "notice")


def main(folder: Path, platform: str, python: str) -> None:
    """Write the files into the folder of a bundle, whose wheels are in `wheels`."""
    lines, heads = [], []
    for wheel in sorted((folder / "wheels").glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            head = HeaderParser().parsestr(archive.read(metadata).decode("utf-8"))
            texts = [
                archive.read(name)
                for name in sorted(archive.namelist())
                if ".dist-info/" in name and name.rpartition("/")[2].lower().startswith(LICENCES)
            ]
        heads.append(head)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lines.append(f"{head['Name']}=={head['Version']} --hash=sha256:{digest}\n")
        target = folder / "licences" / f"{head['Name']}.txt"
        target.parent.mkdir(exist_ok=True)
        said = head["License-Expression"] or head["License"] or "stated by its classifiers"
        target.write_bytes(f"{head['Name']} {head['Version']}: {said}\n\n".encode() + b"\n\n".join(texts))
    if missing := _missing(heads, platform, python):
        sys.exit(f".ci/bundle: no wheel of {', '.join(missing)} for {platform}, Python {python}")
    (folder / "requirements.txt").write_text("".join(lines), encoding="utf-8")
    (folder / "install.sh").write_text(SH, encoding="utf-8")
    (folder / "install.ps1").write_text(PS1, encoding="utf-8", newline="\r\n")


def _missing(heads: list[Message], platform: str, python: str) -> list[str]:
    """What the wheels require there, and none of them is; nothing on that machine would install it."""

    def plain(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    required = set()
    for head in heads:
        for line in head.get_all("Requires-Dist", []):
            name, _, marker = line.partition(";")
            if not marker or holds(marker, platform, python):
                required.add(plain(re.match(r"[\w.-]+", name)[0]))
    return sorted(required - {plain(head["Name"]) for head in heads})


main(Path(sys.argv[1]), *sys.argv[2:])
