"""No byte of a key leaves either, nor what keys open: every command and output with keys, and every way to fail."""

import base64
import gzip
import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import auditor
from auditor.protobuf.envelope_pb2 import EncryptedObject
from tests.helpers import kine_stages, packing
from tests.helpers.command import run_wide as run
from tests.helpers.command import temporary_folder
from tests.helpers.fixtures import DEFRAGMENTED, MIGRATION, PLAINTEXT, PROVIDERS, REWRITTEN, SNAPSHOTS, truth
from tests.helpers.kms_plugin import KmsPlugin, read_keks
from tests.helpers.sweeps import sample
from tests.helpers.taint import Taint
from tests.system.test_secrecy import canaries, forbidden, id_of, keys, leaks, texts_of, values

Line: TypeAlias = list[str | Path]
KEYED = [snapshot for snapshot in SNAPSHOTS if snapshot.with_suffix(".encryption.json").exists()]
KEKS = (PROVIDERS / "kek-vault.json", PROVIDERS / "kek-legacy.json")
STAGES = [kine_stages.KINE / "kine-bundled" / "4-compacted", kine_stages.KINE / "k3s-like" / "3-rewritten"]


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No run leaves a file behind where temporary ones go."""
    yield
    assert list(temporary_folder().iterdir()) == []


def config(snapshot: Path) -> Path:
    return snapshot.with_suffix(".encryption.json")


def outputs(folder: Path, *, script: bool = True) -> Line:
    """Every output that a scan can write; a script is of one item of evidence, and of a configuration by name."""
    names = {"--csv": "a.csv", "--inventory": "b.parquet", "--html": "c.html", "--json": "d.json", "--sarif": "e.sarif"}
    names |= {"--remediation": "f.sh", "--dataset": "set"} if script else {"--dataset": "set"}
    return ["-v", *(part for option, name in names.items() for part in (option, folder / name))]


def messages(done: "subprocess.CompletedProcess[str]", name: str = "") -> dict[str, str]:
    assert "Traceback" not in done.stderr, name
    assert "fault of etcd-auditor" not in done.stderr, done.stderr
    return {f"{name} output": done.stdout, f"{name} errors": done.stderr}


@cache
def deks(snapshot: Path) -> tuple[bytes, ...]:
    """The data keys, or their seeds, of every KMS value of a snapshot, unwrapped with the KEKs that are known."""
    known, raw = read_keks(*KEKS), snapshot.read_bytes()
    rows = auditor.scan(snapshot, auditor.Options(resources=("*",))).inventory
    found = []
    for row in rows[rows.provider.isin(["kms v1", "kms v2"])].to_dict("records"):
        value = raw[row["offset"] : row["offset"] + row["size"]].split(b":", 5)[-1]
        if row["provider"] == "kms v2":
            wrapped = EncryptedObject.FromString(value).encrypted_dek_source
        else:
            wrapped = value[2 : 2 + int.from_bytes(value[:2], "big")]
        kek, _, sealed = wrapped.partition(b"|")
        found.append(AESGCM(known[kek.decode()]).decrypt(sealed[:12], sealed[12:], None))
    return tuple(dict.fromkeys(found))


@pytest.mark.parametrize("snapshot", sample(KEYED, 4), ids=id_of)
def test_every_command_with_keys(snapshot: Path, tmp_path: Path) -> None:
    """What is written, what verify says of it, and what keys and show say; while copies are looked for."""
    given: Line = ["--encryption-config", config(snapshot)]
    out = tmp_path / "out"
    out.mkdir()
    done = run("scan", snapshot, *given, *outputs(out), "--hunt", "--use-found-keys", "--resource", "*")
    assert done.returncode in {0, 1, 3}
    assert "decrypted" in done.stdout
    texts = {**messages(done, "scan"), **texts_of(out)}
    assert {"a.csv", "b.parquet", "c.html", "d.json", "e.sarif", "f.sh"} < set(texts)
    assert any(name.endswith(".parquet") and name != "b.parquet" for name in texts)
    texts |= messages(run("verify", out / "d.json", snapshot), "verify")
    texts |= messages(run("verify", out / "c.html", PLAINTEXT), "verify with another")
    done = run("keys", snapshot, *given, "--json", tmp_path / "keys.json")
    assert done.returncode in {0, 3}
    texts |= {**messages(done, "keys"), "keys.json": (tmp_path / "keys.json").read_text()}
    assert leaks(forbidden(snapshot), texts) == []


def test_what_a_plugin_unwraps_stays_inside(tmp_path: Path) -> None:
    """Data keys and their seeds, and the keys that wrap them."""
    snapshot = PROVIDERS / "2-kek-rotated.db"
    taint = Taint([*deks(snapshot), *read_keks(*KEKS).values()])
    assert len(deks(snapshot)) >= 2
    vault, legacy = (read_keks(path) for path in KEKS)
    out = tmp_path / "out"
    out.mkdir()
    with (
        KmsPlugin(tmp_path, vault, current="kek-b", socket="vault.sock") as first,
        KmsPlugin(tmp_path, legacy, socket="legacy.sock") as second,
    ):
        plugins = ["--kms-plugin", f"vault={first.endpoint}", "--kms-plugin", f"legacy={second.endpoint}"]
        given: Line = ["--encryption-config", config(snapshot), *plugins]
        done = run("scan", snapshot, *given, *outputs(out), "--hunt")
        asked = first.calls.total()
        texts = {**messages(done, "scan"), **texts_of(out)}
        texts |= messages(run("keys", snapshot, *given), "keys")
        texts |= messages(run("show", snapshot, next(iter(truth(snapshot)["secrets"])), *given), "show")
        texts |= messages(run("diff", PROVIDERS / "1-every-provider.db", snapshot, *given), "diff")
        first.refusing = second.garbage = True
        texts |= messages(run("scan", snapshot, *given, "-v"), "refused")
    texts |= messages(run("scan", snapshot, *given, "-v"), "gone")
    assert asked
    assert leaks(taint, texts) == []
    assert leaks(forbidden(snapshot), texts) == []


@pytest.mark.parametrize("given", [True, False], ids=["keys", "blind"])
@pytest.mark.parametrize("stage", sample(STAGES, 1), ids=kine_stages.name_of)
def test_kine(stage: Path, tmp_path: Path, *, given: bool) -> None:
    path = Path(kine_stages.configuration(stage))
    taint = Taint([*kine_stages.canaries(stage), *keys(path)])
    evidence, out = kine_stages.unpack(stage, tmp_path), tmp_path / "out"
    assert leaks(taint, {"raw": (evidence / "state.db").read_bytes().decode("latin-1")})
    out.mkdir()
    options: Line = ["--encryption-config", path] if given else []
    done = run("scan", evidence, *options, *outputs(out), "--hunt")
    assert done.returncode == 1
    texts = {**messages(done, "scan"), **texts_of(out), **messages(run("keys", evidence, *options), "keys")}
    name = next(iter(kine_stages.truth(stage)["secrets"]))
    shown = run("show", evidence, name, *options, "--json", tmp_path / "show.json")
    assert shown.returncode in {0, 3}
    texts |= {**messages(shown, "show"), "show.json": (tmp_path / "show.json").read_text()}
    assert leaks(taint, texts) == []


def _zip(folder: Path) -> Path:
    path = folder / "backup.zip"
    rows = {
        "a/etcd-snapshot": REWRITTEN.read_bytes(),
        "server/cred/encryption-config.json": config(REWRITTEN).read_bytes(),
    }
    path.write_bytes(packing.zip_archive(rows))
    return path


def _tar(folder: Path) -> Path:
    path = folder / "backup.tar.gz"
    files = {
        "a/1.db": PLAINTEXT.read_bytes(),
        "a/3.db": REWRITTEN.read_bytes(),
        "enc.yaml": config(REWRITTEN).read_bytes(),
    }
    path.write_bytes(gzip.compress(packing.tar(files)))
    return path


def _directory(folder: Path) -> Path:
    return MIGRATION / "data-dir.tar.gz"


def _beside(folder: Path) -> Path:
    shutil.copy(config(REWRITTEN), folder / "encryption-config.json")
    return Path(shutil.copy(REWRITTEN, folder / "snapshot.db"))


@pytest.mark.parametrize("make", sample([_zip, _tar, _directory, _beside], 2))
def test_packed_evidence_and_the_keys_that_came_with_it(make: Callable[[Path], Path], tmp_path: Path) -> None:
    evidence, out = make(tmp_path), tmp_path / "out"
    out.mkdir()
    taint = Taint([*values(PLAINTEXT), *values(REWRITTEN), *keys(config(REWRITTEN)), *keys(config(SNAPSHOTS[6]))])
    for options in ([], ["--use-found-config"], ["--use-found-config", "--use-found-keys", "--hunt"]):
        done = run("scan", evidence, *outputs(out, script=not options and make is not _tar), *options, "--force")
        assert done.returncode == 1
        assert leaks(taint, {**messages(done), **texts_of(out)}) == []
    if make is not _directory:
        assert "key-present" in (out / "a.csv").read_text()


def test_several_pieces_of_evidence(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "broken.db").write_bytes(PLAINTEXT.read_bytes()[:9000])
    names = [*KEYED[:2], PLAINTEXT, tmp_path / "broken.db"]
    done = run("scan", *names, *outputs(out, script=False), "--encryption-config", config(KEYED[1]), "--hunt")
    assert done.returncode == 1
    assert "4 pieces" in done.stdout + done.stderr or "broken.db" in done.stdout
    texts = {**messages(done), **texts_of(out)}
    assert [name for each in KEYED[:2] for name in leaks(forbidden(each), texts)] == []


CONFIGURATION = config(REWRITTEN).read_bytes()
SECRET = base64.b64encode(keys(config(REWRITTEN))[0])
BROKEN: dict[str, bytes] = {
    "cut": CONFIGURATION[: CONFIGURATION.index(SECRET) + 30],
    "another size": CONFIGURATION.replace(SECRET, SECRET[4:]),
    "no base64": CONFIGURATION.replace(SECRET, SECRET[:-1] + b"!"),
    "not UTF-8": CONFIGURATION.replace(SECRET, b"\xff" + SECRET),
    "a field too many": CONFIGURATION.replace(b'"secret"', b'"' + SECRET + b'": 1, "secret"'),
    "twice": CONFIGURATION.replace(b'"aescbc"', b'"aescbc": {"' + SECRET + b'": "' + SECRET + b'"}, "aescbc"'),
    "an alias": b"a: &a " + SECRET + b"\nb: *a\n",
    "a tag": b"kind: !!python/name:" + SECRET + b" x\n",
    "tabs": b"kind: x\n\t" + SECRET,
    "a list for a key": CONFIGURATION.replace(b'"' + SECRET + b'"', b'["' + SECRET + b'"]'),
    "two documents": b"---\nkind: a\n---\nsecret: " + SECRET,
    "a snapshot": PLAINTEXT.read_bytes(),
    "an unknown kind": b"apiVersion: " + SECRET + b"\nkind: " + SECRET + b"\nresources: [1]",
}


@pytest.mark.parametrize("broken", BROKEN)
def test_configurations_that_are_refused_are_not_quoted(broken: str, tmp_path: Path) -> None:
    path = tmp_path / "enc.yaml"
    path.write_bytes(BROKEN[broken])
    texts: dict[str, str] = {}
    lines: list[Line] = [["scan", REWRITTEN, "-v"], ["keys", REWRITTEN], ["diff", PLAINTEXT, REWRITTEN]]
    lines.append(["show", REWRITTEN, "payments/old0"])
    for line in lines:
        done = run(*line, "--encryption-config", path)
        # what API servers up to 1.30 ignored is accepted, with a note that does not quote it
        assert (done.returncode == 2) is (broken != "a field too many")
        texts |= messages(done, str(line[0]))
    assert leaks(forbidden(REWRITTEN), texts) == []


def _wrong_options(folder: Path) -> Iterator[tuple[str, Line]]:
    """Options of every kind that are wrong; files in the place of others, with keys and canaries in them."""
    secrets, evidence = folder / "secrets.json", REWRITTEN
    secrets.write_bytes(CONFIGURATION)
    garbage = folder / "garbage"
    garbage.write_bytes(b'{"sources": "' + canaries(PLAINTEXT)[0].encode() + b'", ' + CONFIGURATION)
    given: Line = ["--encryption-config", secrets]
    yield "ignore", ["scan", evidence, *given, "--ignore", secrets]
    yield "ignore garbage", ["scan", evidence, *given, "--ignore", garbage]
    yield "ignore evidence", ["scan", evidence, *given, "--ignore", PLAINTEXT]
    yield "baseline", ["scan", evidence, *given, "--baseline", secrets]
    yield "baseline garbage", ["scan", evidence, *given, "--baseline", garbage]
    yield "redact key", ["scan", evidence, *given, "--redact-names", "--redact-key", folder / "none"]
    yield "token", ["scan", evidence, *given, "--k3s-token", PLAINTEXT]
    yield "evidence", ["scan", secrets]
    yield "evidence garbage", ["scan", garbage]
    yield "keys of garbage", ["keys", garbage, *given]
    yield "show of garbage", ["show", garbage, "a/b", *given]
    yield "diff of garbage", ["diff", garbage, evidence, *given]
    yield "watch", ["watch", "https://127.0.0.1:1", "--once", "--cacert", garbage, *given]
    yield "live", ["scan", "https://127.0.0.1:1", "--cert", secrets, "--key", garbage, *given]
    yield "watch a file", ["watch", evidence, "--once", *given]
    yield "verify", ["verify", secrets, evidence]
    yield "verify garbage", ["verify", garbage, evidence]
    yield "verify evidence", ["verify", evidence, evidence]
    yield "other evidence", ["scan", evidence, *given, "--expect-sha256", "00" * 32]
    yield "other cluster", ["scan", evidence, *given, "--expect-cluster", "x"]
    yield "plugin", ["scan", evidence, *given, "--kms-plugin", "vault"]
    yield "no plugin", ["scan", PROVIDERS / "1-every-provider.db", "--kms-plugin", f"vault=unix://{folder}/none.sock"]
    yield "compromised", ["scan", evidence, *given, "--compromised-key", "aescbc:key1", "-v"]
    yield "expect", ["scan", evidence, *given, "--expect", "aescbc:none", "-v"]
    yield "bad expect", ["scan", evidence, *given, "--expect", "nothing"]
    yield "exists", ["scan", evidence, *given, "--csv", secrets]
    yield "over the evidence", ["scan", evidence, *given, "--csv", evidence, "--force"]
    yield "nowhere", ["scan", evidence, *given, "--json", folder / "none" / "a.json"]
    yield "no such object", ["show", evidence, "payments/nothing", *given]
    yield "not confirmed", ["show", evidence, "payments/old0", "--reveal", *given]
    yield "another cluster", ["diff", PROVIDERS / "1-every-provider.db", evidence, *given]
    yield "the older one", ["diff", DEFRAGMENTED, PLAINTEXT, *given]


def test_whatever_goes_wrong_nothing_is_quoted(tmp_path: Path) -> None:
    texts: dict[str, str] = {}
    codes: dict[str, int] = {}
    for name, line in _wrong_options(tmp_path):
        done = run(*line)
        texts |= messages(done, name)
        codes[name] = done.returncode
    assert leaks(forbidden(REWRITTEN), texts) == []
    assert leaks(forbidden(PLAINTEXT), texts) == []
    fine = {"compromised": 1, "expect": 1, "plugin": 1, "no plugin": 1, "verify garbage": 1}
    fine["keys of garbage"] = 3  # the sweep meets its values, and no reader reads it
    assert {name: code for name, code in codes.items() if code != 2 and fine.get(name) != code} == {}


def test_what_is_revealed_stands_on_the_terminal_alone(tmp_path: Path) -> None:
    done = run("show", PLAINTEXT, "payments/old0", "--reveal", "--yes", "--json", tmp_path / "a.json")
    assert done.returncode == 0
    taint = forbidden(PLAINTEXT)
    assert leaks(taint, {"output": done.stdout}) == ["output"]
    assert leaks(taint, {"errors": done.stderr, "report": (tmp_path / "a.json").read_text()}) == []


def test_progress_and_colours_on_a_terminal(tmp_path: Path) -> None:
    """Bars, and tables as wide as a terminal's, are written only where there is one."""
    ours, theirs = pty.openpty()
    line: Line = [
        sys.executable,
        "-m",
        "auditor",
        "scan",
        REWRITTEN,
        "-v",
        "--encryption-config",
        config(REWRITTEN),
        "--hunt",
    ]
    with subprocess.Popen(line, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                block = os.read(ours, 1 << 16)
            except OSError:  # how a terminal says that the other side has gone
                break
            if not block:
                break
            shown += block
    os.close(ours)
    assert process.returncode == 1
    assert b"\x1b[" in shown
    assert leaks(forbidden(REWRITTEN), {"terminal": shown.decode("utf-8", "replace")}) == []


def test_what_python_shows_of_objects_with_keys() -> None:
    from auditor.encryption.configuration import load
    from auditor.judgement.criteria import prepare

    options = auditor.Options(encryption_configs=(str(config(REWRITTEN)),))
    audit = auditor.scan(REWRITTEN, options)
    given = prepare(options)
    assert given.keyring is not None
    shown = {"configuration": repr(load(config(REWRITTEN))), "rules": repr(given), "audit": repr(audit)}
    shown |= {"keyring": repr(given.keyring), "rows": json.dumps(audit.inventory.to_dict("records"), default=str)}
    assert leaks(forbidden(REWRITTEN), shown) == []
