"""No byte of a Secret's value leaves, in any coding, by any output, whatever happens to the evidence."""

import base64
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import auditor
from tests.helpers.command import run_wide as run
from tests.helpers.etcd import restore
from tests.helpers.fixtures import DEFRAGMENTED, PLAINTEXT, REWRITTEN, SNAPSHOTS, stored_secrets, truth
from tests.helpers.sweeps import sample
from tests.helpers.taint import WINDOW, Taint


@cache
def canaries(snapshot: Path) -> tuple[str, ...]:
    """Every string that some Secret of this snapshot holds or held."""
    secrets = truth(snapshot)["secrets"].values()
    return tuple(canary for secret in secrets for canary in (secret["canary"], *secret.get("earlier", ())))


@cache
def values(snapshot: Path) -> tuple[bytes, ...]:
    """The readable Secrets' data as stored: Docker's with base64 inside JSON, Helm's as base64 of gzip."""
    return tuple(entry.value for _, secret in stored_secrets(snapshot) for entry in secret.data)


@cache
def keys(config: Path) -> tuple[bytes, ...]:
    """The keys of a configuration of the fixtures; none where there is no such file."""
    if not config.exists():
        return ()
    providers = [each for rule in json.loads(config.read_text())["resources"] for each in rule["providers"]]
    settings = [part for each in providers for kind, part in each.items() if kind not in {"identity", "kms"}]
    return tuple(base64.b64decode(key["secret"]) for part in settings for key in part["keys"])


@cache
def forbidden(snapshot: Path) -> Taint:
    """Canaries, every value as stored, and the keys that it was opened with."""
    raw = [*values(PLAINTEXT), *values(snapshot), *(canary.encode() for canary in canaries(snapshot))]
    return Taint([*raw, *keys(snapshot.with_suffix(".encryption.json"))])


def leaks(taint: Taint, texts: dict[str, str]) -> list[str]:
    """Which texts hold a part of something: names only, since a failing test is printed too."""
    return [name for name, text in texts.items() if taint.within(text)]


def texts_of(folder: Path) -> dict[str, str]:
    """Every file as text; of Parquet its cells too, which are compressed in the file."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    texts = {path.name: path.read_bytes().decode("utf-8", "replace") for path in files}
    for path in (path for path in files if path.suffix == ".parquet"):
        texts[path.name] = path.read_bytes().decode("latin-1")
        rows = pq.read_table(path).to_pylist()
        texts[f"cells of {path.name}"] = "\n".join(str(cell) for row in rows for cell in row.values())
    return texts


def id_of(snapshot: Path) -> str:
    return f"{snapshot.parent.name}/{snapshot.stem}"


def test_the_fixtures_hold_what_is_looked_for() -> None:
    """This module would find a leak: the evidence itself is full of what it looks for."""
    assert len(SNAPSHOTS) == 10
    for snapshot in SNAPSHOTS:
        assert len(canaries(snapshot)) >= 28
    taint = forbidden(PLAINTEXT)
    assert leaks(taint, {"raw": PLAINTEXT.read_bytes().decode("latin-1"), "none": "x" * 100}) == ["raw"]
    long = [value for value in values(PLAINTEXT) if len(value) > 2 * WINDOW]
    for value in (*long, *(canary.encode() for canary in canaries(PLAINTEXT))):
        for text in (
            value[3 : 3 + WINDOW].decode(),
            value.hex()[5 : 5 + WINDOW],
            *(base64.b64encode(before + value + b"behind").decode()[6 : 6 + WINDOW] for before in (b"", b"a", b"ab")),
        ):
            assert taint.within(f"before {text} behind")
            assert not taint.within(f"before {text[:-1]}\n")
    for key in keys(REWRITTEN.with_suffix(".encryption.json")):
        for text in (
            key.hex()[20:36],
            base64.urlsafe_b64encode(b"a" + key).decode()[9:25],
            key.decode("latin-1")[9:25],
        ):
            assert forbidden(REWRITTEN).within(f"before {text} behind")
    assert sum(value.startswith(b'{"auths"') for value in long) >= 2
    assert sum(value.startswith(b"H4sI") for value in long) >= 2


@pytest.mark.parametrize("options", [[], ["-v", "--quick"]], ids=lambda options: " ".join(options) or "plain")
@pytest.mark.parametrize("snapshot", sample(SNAPSHOTS, 4), ids=id_of)
def test_every_output(snapshot: Path, tmp_path: Path, options: list[str]) -> None:
    reports = {"--csv": "a.csv", "--inventory": "b.parquet", "--html": "c.html", "--json": "d.json"}
    reports["--sarif"] = "e.sarif"
    paths = [part for option, name in reports.items() for part in (option, str(tmp_path / name))]
    done = run("scan", snapshot, *paths, *options, *(["--resource", "*"] if options else []))
    assert done.returncode in {0, 1, 3}
    texts = texts_of(tmp_path)
    assert set(reports.values()) < set(texts)
    found = leaks(forbidden(snapshot), {**texts, "stdout": done.stdout, "stderr": done.stderr})
    assert found == []


@pytest.mark.parametrize("snapshot", [PLAINTEXT, SNAPSHOTS[-1]], ids=id_of)
@pytest.mark.parametrize("option", ["--csv", "--json", "--html", "--sarif"])
def test_standard_output(snapshot: Path, option: str) -> None:
    done = run("scan", snapshot, option, "-", "-v")
    assert done.returncode == 1
    found = leaks(forbidden(snapshot), {"stdout": done.stdout, "stderr": done.stderr})
    assert found == []


def torn(raw: bytes) -> bytes:
    """Every envelope's first bytes are gone."""
    changed = bytearray(raw)
    for at in range(len(raw)):
        if raw.startswith(b"k8s\0", at):
            changed[at + 4 : at + 12] = b"\xff" * 8
    return bytes(changed)


def shuffle_pages(raw: bytes) -> bytes:
    """Every third page has another header."""
    changed = bytearray(raw)
    for page in range(4, len(raw) // 4096, 3):
        changed[page * 4096 : page * 4096 + 16] = b"\x01" * 16
    return bytes(changed)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut 3": lambda raw: raw[: len(raw) * 3 // 100],
    "cut 20": lambda raw: raw[: len(raw) * 20 // 100],
    "cut 50": lambda raw: raw[: len(raw) * 50 // 100],
    "cut 70": lambda raw: raw[: len(raw) * 70 // 100],
    "cut 99": lambda raw: raw[: len(raw) * 99 // 100],
    "no metas": lambda raw: bytes(8192) + raw[8192:],
    "values torn": torn,
    "other pages": shuffle_pages,
    "other kinds": lambda raw: raw.replace(b"\x12\x06Secret", b"\x12\x06Sec\xffet"),
    "as json": lambda raw: raw.replace(b"k8s\0\x0a", b'{"a":'),
    "as cbor": lambda raw: raw.replace(b"k8s\0", b"\xd9\xd9\xf7\xa1"),
    "as ciphertext": lambda raw: raw.replace(b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Sec", b"k8s:enc:kms:v2:::"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_evidence(tmp_path: Path, damage: str) -> None:
    evidence = tmp_path / "damaged.db"
    raw = DAMAGE[damage](PLAINTEXT.read_bytes())
    assert raw != PLAINTEXT.read_bytes()
    evidence.write_bytes(raw)
    reports = tmp_path / "reports"
    reports.mkdir()
    paths: list[str | Path] = ["--csv", reports / "a.csv", "--json", reports / "b.json", "--html", reports / "c.html"]
    paths += ["--sarif", reports / "e.sarif"]
    done = run("scan", evidence, *paths, "--inventory", reports / "d.parquet", "-v", "--resource", "*")
    found = leaks(forbidden(PLAINTEXT), {**texts_of(reports), "stdout": done.stdout, "stderr": done.stderr})
    assert found == []
    assert done.returncode in {1, 2, 3}
    assert "Traceback" not in done.stderr
    assert "fault of etcd-auditor" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--storage-prefix", "/elsewhere"],
        ["--resource", "nosuch"],
        ["--csv", "/nowhere/a.csv"],
        ["--inventory", "/nowhere.xlsx"],
        ["--fail-on", "nothing"],
    ],
)
@pytest.mark.parametrize("snapshot", [PLAINTEXT, DEFRAGMENTED], ids=id_of)
def test_mistaken_options(snapshot: Path, arguments: list[str]) -> None:
    done = run("scan", snapshot, "-v", *arguments)
    assert done.returncode in {2, 3}
    found = leaks(forbidden(snapshot), {"stdout": done.stdout, "stderr": done.stderr})
    assert found == []


@pytest.mark.parametrize("snapshot", sample(SNAPSHOTS, 4), ids=id_of)
def test_one_object_shown(snapshot: Path, tmp_path: Path) -> None:
    """With the keys of that moment: what was opened is held to the same rule as what was readable."""
    keys = list(truth(snapshot)["secrets"])
    config = snapshot.with_suffix(".encryption.json")
    given = ["--encryption-config", str(config)] if config.exists() else []
    texts: dict[str, str] = {}
    for number, key in enumerate((keys[0], keys[3], keys[-1])):
        done = run("show", snapshot, key, *given, "--json", tmp_path / f"{number}.json")
        assert done.returncode in {0, 3}
        texts |= {f"stdout {number}": done.stdout, f"stderr {number}": done.stderr}
    found = leaks(forbidden(snapshot), {**texts, **texts_of(tmp_path)})
    assert found == []


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=id_of)
def test_values_looked_for(snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The values come from outside: what says where they stand says nothing of them."""
    config = snapshot.with_suffix(".encryption.json")
    given = ["--encryption-config", str(config)] if config.exists() else []
    wanted, out = tmp_path_factory.mktemp("values") / "values", tmp_path_factory.mktemp("find")
    wanted.write_text("\n".join(canaries(snapshot)))
    done = run("find", snapshot, "--value-file", wanted, *given, "--json", out / "find.json")
    assert done.returncode == 1
    assert leaks(forbidden(snapshot), {"stdout": done.stdout, "stderr": done.stderr, **texts_of(out)}) == []


@pytest.mark.parametrize("snapshot", SNAPSHOTS[:4], ids=id_of)
def test_values_that_are_current_elsewhere(snapshot: Path, tmp_path: Path) -> None:
    """Of the newer evidence too, whose values are compared in memory."""
    newer = DEFRAGMENTED
    given = ["--current", str(newer), "--current-config", str(newer.with_suffix(".encryption.json"))]
    reports = [f"--{kind}={tmp_path / f'r.{kind}'}" for kind in ("csv", "json", "html", "sarif")]
    done = run("scan", snapshot, *given, *reports)
    found = leaks(forbidden(snapshot), {"stdout": done.stdout, "stderr": done.stderr, **texts_of(tmp_path)})
    assert found == []


def test_from_python() -> None:
    """Neither what an audit holds nor what it shows of itself."""
    audit = auditor.scan(PLAINTEXT, auditor.Options(resources=("*",)))
    shown = {
        "repr": repr(audit),
        "findings": audit.findings.to_csv() + audit.findings.to_json(),
        "inventory": audit.inventory.to_csv(),
        "tally": str(audit.tally) + str(audit.coverage) + str(audit.rows.columns),
    }
    found = leaks(forbidden(PLAINTEXT), shown)
    assert found == []


@pytest.mark.parametrize("keys", [False, True], ids=["blind", "keys"])
def test_comparisons(tmp_path: Path, keys: bool) -> None:
    """Contents are compared in memory; neither they nor a hash of one is written."""
    reports = {"--csv": "a.csv", "--html": "b.html", "--json": "c.json"}
    paths = [part for option, name in reports.items() for part in (option, str(tmp_path / name))]
    for after in (snapshot for snapshot in SNAPSHOTS if snapshot.parent == PLAINTEXT.parent):
        config = after.with_suffix(".encryption.json")
        given = ["--encryption-config", str(config)] if keys and config.exists() else []
        done = run("diff", PLAINTEXT, after, *paths, *given, "--force", "--resource", "*")
        assert done.returncode in {0, 1, 3}
        found = leaks(forbidden(after), {**texts_of(tmp_path), "stdout": done.stdout, "stderr": done.stderr})
        assert found == []
        text = "".join(texts_of(tmp_path).values())
        assert not any(digest in text for digest in digests(after))


def test_watches(tmp_path: Path) -> None:
    """The first stage served by a real etcd; its numbers, its names, and the script that would rewrite it."""
    uid = auditor.scan(PLAINTEXT).evidence.cluster.uid
    files = ["--json", str(tmp_path / "w.json"), "--remediation", str(tmp_path / "r.sh"), "--expect-cluster", uid]
    config = str(REWRITTEN.with_suffix(".encryption.json"))
    with restore(PLAINTEXT, tmp_path / "data") as etcd:
        once = run("watch", etcd.url, "--once", *files, "--encryption-config", config)
        followed = run("watch", etcd.url, "--for", "0.5", "--encryption-config", config)
    assert (once.returncode, followed.returncode) == (1, 1)
    assert "FINDINGS: 27 of 27 secrets" in once.stdout
    texts = {name: (tmp_path / name).read_text() for name in ("w.json", "r.sh")}
    for name, done in (("once", once), ("followed", followed)):
        texts |= {f"{name} stdout": done.stdout, f"{name} stderr": done.stderr}
    found = leaks(forbidden(PLAINTEXT), texts)
    assert found == []


def digests(snapshot: Path) -> set[str]:
    """The digests by which contents are compared, in hex and base64."""
    from auditor.kubernetes import objects
    from auditor.model.vocabulary import Encoding

    raw = [objects.decode(value, Encoding.PROTOBUF).content for value, _ in stored_secrets(PLAINTEXT)]
    raw += [objects.decode(value, Encoding.PROTOBUF).content for value, _ in stored_secrets(snapshot)]
    assert all(len(each) == 16 for each in raw)
    return {text for each in raw for text in (each.hex(), base64.b64encode(each).decode())}
