"""Evidence that is in order ends with 0, whatever the sweep meets in its ciphertexts."""

import random
from pathlib import Path

import pytest

import auditor
from auditor import Options, Severity
from tests.evidence.etcd.test_dump_responses import Form, as_json, as_protobuf
from tests.helpers import sealing
from tests.helpers.bolt_builder import backend, record
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.objects import StoredObject

LARGE = 1 << 20


def random_rows(count: int) -> list[tuple[bytes, bytes]]:
    """Encrypted Secrets with a megabyte of random bytes each, the same in every run."""
    rng = random.Random(71)
    return [
        (b"/registry/secrets/a/s%d" % number, ciphertext("secretbox", b"box", rng.randbytes(LARGE)))
        for number in range(count)
    ]


@pytest.mark.parametrize("form", [as_json, as_protobuf])
@pytest.mark.parametrize("count", [4, pytest.param(120, marks=pytest.mark.slow)])
def test_random_ciphertext(form: Form, count: int, tmp_path: Path) -> None:
    (tmp_path / "dump").write_bytes(form(random_rows(count)))
    audit = auditor.scan(tmp_path / "dump", Options(rows=False))
    assert audit.exit_code(Severity.MEDIUM) == 0
    assert any(f"each of {count:,} beginnings of values is a row's own" in note for note in audit.notes)


def test_everything_encrypted_by_a_wildcard(tmp_path: Path) -> None:
    """With `*.*` the kinds of every resource are searched for."""
    provider = sealing.provider("secretbox", ("key1", sealing.KEY))
    config = sealing.configuration(tmp_path / "config.json", provider, resources=("*.*",))
    kinds = {b"secrets": b"Secret", b"configmaps": b"ConfigMap", b"pods": b"Pod", b"services/specs": b"Service"}
    records = []
    for number, (path, kind) in enumerate(kinds.items(), 2):
        thing = StoredObject(name=b"a", kind=kind, data={b"k": b"v" * 40})
        value = sealing.seal("secretbox", "key1", sealing.KEY, thing, random.Random(number))
        records.append(record(number, b"/registry/" + path + b"/default/a", value))
    (tmp_path / "a.db").write_bytes(backend(records).seal())
    audit = auditor.scan(tmp_path / "a.db", Options(encryption_configs=(config,)))
    assert audit.exit_code(Severity.MEDIUM) == 0, [*audit.gaps, *audit.unexamined, audit.findings.to_dict("records")]
