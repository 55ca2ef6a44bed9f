"""A system other than this one, as a bundle is made for it.

python .ci/target.py platforms PLATFORM               the options of pip for it: an older tag of Linux fits a newer one
python .ci/target.py lock PLATFORM PYTHON LOCK        a lock's requirements there, their markers decided
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pip._vendor.packaging.markers import Marker

SYSTEMS = {"win": ("win32", "nt", "Windows"), "macosx": ("darwin", "posix", "Darwin"), "": ("linux", "posix", "Linux")}
"""sys_platform, os_name and platform_system by the beginning of a platform's name."""
LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
"""Older names of manylinux_2_X (PEP 600)."""
REQUIREMENT = re.compile(r"(\S+==\S+)(?: ; (.+?))?( \\)?")


def environment(platform: str, python: str) -> dict[str, str]:
    """What markers are decided by (the specification of dependency specifiers).

    Args:
        platform: As wheels name it: win_amd64, macosx_11_0_arm64, manylinux_2_28_x86_64.
        python: Its minor version, 3.13.
    """
    system = next(names for beginning, names in SYSTEMS.items() if platform.startswith(beginning))
    machine = re.sub(r"^[a-z]+(_?\d+)*_", "", platform)
    return {
        **dict(zip(("sys_platform", "os_name", "platform_system"), system, strict=True)),
        "platform_machine": {"amd64": "AMD64"}.get(machine, machine),
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "platform_python_implementation": "CPython",
        "extra": "",
    }


def holds(marker: str, platform: str, python: str) -> bool:
    """Whether a requirement with this marker is one there."""
    return bool(Marker(marker).evaluate(environment(platform, python)))


def lock(platform: str, python: str, path: str) -> Iterator[str]:
    """The lines of a lock that count there, without their markers."""
    kept = False
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        match = REQUIREMENT.fullmatch(line)
        if match is not None:
            kept = match[2] is None or holds(match[2], platform, python)
            line = f"{match[1]}{match[3] or ''}"
        if kept:
            yield line


def platforms(platform: str) -> Iterator[str]:
    """Options of pip: the platform, and older ones whose wheels run there too."""
    match = re.fullmatch(r"(many|musl)linux_(\d+)_(\d+)_(\w+)", platform)
    if match is None:
        yield f"--platform={platform}"
        return
    kind, major, newest, machine = match.groups()
    for minor in range(int(newest), -1, -1):
        yield f"--platform={kind}linux_{major}_{minor}_{machine}"
        if kind == "many" and minor in LEGACY:
            yield f"--platform={LEGACY[minor]}_{machine}"


if __name__ == "__main__":
    print(*{"platforms": platforms, "lock": lock}[sys.argv[1]](*sys.argv[2:]), sep="\n")
