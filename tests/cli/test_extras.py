"""What an option needs beyond the core is named with its extra, in the same words, before anything is read."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from auditor.errors import MissingExtra, UsageError, require
from auditor.reports.html import assets
from tests.helpers.command import run
from tests.helpers.fixtures import FIXTURES, MIGRATION
from tests.system.test_layers import MODULES


@pytest.mark.parametrize("options", [("--inventory", "i.parquet"), ("--dataset", "set")])
def test_parquet(options: tuple[str, str], tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'pyarrow' else found(name, *more)\n"
    )
    work = tmp_path / "work"
    work.mkdir()
    path = f"{hidden}:{FIXTURES.parent}"
    done = run("scan", MIGRATION / "3-rewritten.db", *options, cwd=work, PYTHONPATH=path)
    assert done.returncode == 2
    assert "needs pyarrow, which is not installed: pip install 'etcd-auditor[parquet]'" in done.stderr
    assert options[0] in done.stderr
    assert list(work.iterdir()) == []


def test_all_is_every_extra_of_the_product() -> None:
    project = tomllib.loads((FIXTURES.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    (everything,) = extras["all"]
    product = sorted(set(extras) - {"all", "dev", "fuzz", "test"})
    assert everything == f"etcd-auditor[{','.join(product)}]"
    page = (FIXTURES.parent / "auditor" / "docs" / "install.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in product)


def test_no_module_has_other_words_for_it() -> None:
    others = [path for path in MODULES.values() if re.search(r"pip install '?etcd-auditor", path.read_text())]
    assert [path.name for path in others] == ["errors.py"]


def test_the_words() -> None:
    with pytest.raises(UsageError) as error:
        require("--this", "no_such_package", "that")
    assert isinstance(error.value, MissingExtra)
    expected = "--this needs no_such_package, which is not installed: pip install 'etcd-auditor[that]'"
    assert str(error.value) == expected
    require("--this", "sys", "that")


def test_the_page_takes_its_libraries_from_the_wheel_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / assets.LIBRARIES / "itables" / "html"
    folder.mkdir(parents=True)
    (folder / "dt_bundle.js").write_text("const a = '<script>';")
    monkeypatch.setattr(assets, "files", lambda _: tmp_path)
    monkeypatch.setitem(sys.modules, "itables", None)
    assert assets._library("itables", "html/dt_bundle.js") == "const a = '\\x3Cscript>';"
