"""An etcdctl dump beside its encryption configuration, read by every command, packed or not."""

import gzip
import shutil
from pathlib import Path

import pytest

from tests.helpers.command import run
from tests.helpers.fixtures import FIXTURES
from tests.helpers.sweeps import everything, sample

CASE = FIXTURES / "cases" / "dump-beside-config"
NAMES = ["encryption-config.json", "enc.yaml", "k0s.yaml", "cluster.rkestate"]


@pytest.mark.parametrize("config", sample(NAMES, 2))
def test_a_dump_is_read_beside_its_configuration(config: str, tmp_path: Path) -> None:
    shutil.copy(CASE / "encryption-config.json", tmp_path / config)
    dump, packed, binary = tmp_path / "dump.json", tmp_path / "dump.json.gz", tmp_path / "dump.pb"
    for path in (dump, binary):
        shutil.copy(CASE / path.name, path)
    packed.write_bytes(gzip.compress(dump.read_bytes()))
    # every form beside one name, every name beside one form: by night each beside each
    for path in (dump, packed, binary) if config == NAMES[0] or everything() else (dump,):
        for options in ([], ["--use-found-config"]):
            done = run("scan", path, *options)
            assert (done.returncode, done.stderr) == (1, "")
            assert "all in latest" in done.stdout
        assert run("keys", path).returncode in {0, 3}
        if path is not binary:
            done = run("show", path, "default/s0")
            assert (done.returncode, "/registry/secrets/default/s0" in done.stdout) == (0, True)
