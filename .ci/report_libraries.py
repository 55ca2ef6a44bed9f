"""A build hook of hatchling: the wheel holds the scripts and styles of the HTML report, with their licences.

They are taken out of the packages that bring them, which [build-system] of pyproject.toml pins; so an installation
needs none of these packages, and the same sources make the same bytes.
"""

from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FILES = {"itables": ("html/dt_bundle.js", "html/dt_bundle.css")}
"""The files of each package that auditor/reports/html/assets.py names."""
TARGET = "auditor/reports/html/libraries"


class ReportLibraries(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the files, and the licences that their packages state."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel is built. An editable one is a checkout, which has the packages. Raises OSError."""
        if version == "editable":
            return
        for package, names in FILES.items():
            source = distribution(package)
            for name in names:
                build_data["force_include"][located(source, f"{package}/{name}")] = f"{TARGET}/{package}/{name}"
            texts = licences(source)
            if not texts:
                raise FileNotFoundError(f"{package} states no licence")
            for path in texts:
                build_data["force_include"][str(path)] = f"{TARGET}/{package}/{path.name}"


def located(source: Distribution, name: str) -> str:
    """The path of a file of a package. Raises FileNotFoundError."""
    path = Path(str(source.locate_file(name)))
    if not path.is_file():
        raise FileNotFoundError(f"{source.name} {source.version} holds no {name}")
    return str(path)


def licences(source: Distribution) -> list[Path]:
    """The files with a package's licence."""
    return sorted(
        Path(str(source.locate_file(file)))
        for file in source.files or ()
        if ".dist-info" in file.parts[0] and file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING"))
    )
