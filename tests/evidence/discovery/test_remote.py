"""Evidence in a bucket and behind a web server: streamed, audited as the file itself, and never written elsewhere."""

import gzip
import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import auditor
from auditor.evidence.discovery import remote
from tests.helpers import azurite, packing
from tests.helpers import gcs as google
from tests.helpers.buckets import KEYS, put, served
from tests.helpers.command import run
from tests.helpers.fixtures import DEFRAGMENTED, PLAINTEXT, REWRITTEN, canaries

OBJECTS = {
    "cluster/etcd-snapshot-n-1": PLAINTEXT.read_bytes(),
    "cluster/etcd.backup.gz": gzip.compress(REWRITTEN.read_bytes()),
    "two.tar": packing.tar({"a.db": PLAINTEXT.read_bytes(), "b.db": REWRITTEN.read_bytes()}),
    "notes.txt": b"nothing of etcd's" * 1000,
    "empty": b"",
}


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, str]]:
    """The environment in which a bucket can be read."""
    with served("s3_server") as address:
        put(f"{address}/backups", b"")
        for name, raw in OBJECTS.items():
            put(f"{address}/backups/{name}", raw)
        yield {**KEYS, "AWS_ENDPOINT_URL": address}


@pytest.fixture(scope="module")
def azure() -> Iterator[str]:
    with azurite.server(OBJECTS) as address:
        yield address


@pytest.fixture(scope="module")
def gcs() -> Iterator[dict[str, str]]:
    """The environment in which a bucket of Google's can be read."""
    names = ("cluster/etcd-snapshot-n-1", "cluster/etcd.backup.gz")
    with google.server({name: OBJECTS[name] for name in names}) as address:
        yield google.connection(address)


class _Handler(http.server.BaseHTTPRequestHandler):
    """One that knows no ranges; `/cut` promises more than it sends."""

    def do_HEAD(self) -> None:
        self._head(OBJECTS["cluster/etcd-snapshot-n-1"])

    def do_GET(self) -> None:
        raw = OBJECTS["cluster/etcd-snapshot-n-1"]
        self._head(raw)
        if self.path.startswith("/secret"):
            return
        self.wfile.write(raw[:50_000] if self.path.startswith("/cut") else raw)

    def _head(self, raw: bytes) -> None:
        self.send_response(403 if self.path.startswith("/secret") else 200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_is_remote() -> None:
    for text in ("s3://b/a.db", "gs://b/a", "az://c/a", "https://host/path.db", "https://host:8443/a/b.zip?sig=x"):
        assert remote.is_remote(text)
    for text in ("https://host:2379", "https://host:2379/", "a.db", "/a/b:c.db", "unix:///x"):
        assert not remote.is_remote(text)
    assert remote.shown("https://user:secret@host/a/b.db?sig=secret") == "https://host/a/b.db"
    assert remote.shown("abfss://container@account.dfs.core.windows.net/a.db") == (
        "abfss://container@account.dfs.core.windows.net/a.db"
    )
    assert remote.shown("abfss://container:secret@account.dfs.core.windows.net/a.db") == (
        "abfss://account.dfs.core.windows.net/a.db"
    )
    assert remote.name("s3://bucket/a/b.db?versionId=7") == "b.db?versionId=7"
    assert remote.name("s3://bucket/a/b.db?signature=7") == "b.db"
    assert remote.name("gs://bucket/a/b.db#1796070161832721") == "b.db#1796070161832721"
    assert remote.plain("gs://bucket/a/b.db#1796070161832721") == "gs://bucket/a/b.db"
    assert remote.plain("https://host/a/b.db#7") == "https://host/a/b.db#7"


def test_an_object_of_google_s_is_audited_as_the_file_is(gcs: dict[str, str], tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    url = "gs://backups/cluster/etcd-snapshot-n-1"
    done = run("scan", url, "--json", tmp_path / "a.json", "--csv", tmp_path / "a.csv", "--work-dir", work, **gcs)
    assert done.returncode == 1, done.stderr
    assert run("scan", PLAINTEXT, "--csv", tmp_path / "plain.csv").returncode == 1
    rows, plain = (pd.read_csv(tmp_path / name, keep_default_na=False) for name in ("a.csv", "plain.csv"))
    pd.testing.assert_frame_equal(rows.drop(columns="source"), plain.drop(columns="source"))
    assert set(rows.source) == {"etcd-snapshot-n-1"}
    told = json.loads((tmp_path / "a.json").read_text())
    assert any(f"streamed from {url}, {len(PLAINTEXT.read_bytes()):,} bytes" in note for note in told["notes"])
    assert stored(tmp_path / "a.json", "etcd-snapshot-n-1")
    assert list(work.iterdir()) == []
    packed = run("scan", "gs://backups/cluster/etcd.backup.gz", **gcs)
    assert packed.returncode == 1, packed.stderr
    assert "etcd.backup.gz!etcd.backup" in packed.stdout


def test_an_object_of_google_s_that_is_not_there(gcs: dict[str, str]) -> None:
    done = run("scan", "gs://backups/none.db", **gcs)
    assert done.returncode == 2
    assert "gs://backups/none.db cannot be opened: there is no such object" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_is_not_reached_is_no_missing_object() -> None:
    done = run("scan", "http://127.0.0.1:1/etcd.zip")
    assert (done.returncode, "is not reached" in done.stderr, "no such object" in done.stderr) == (2, True, False)


def stored(report: Path, name: str) -> bool:
    """Whether the store's time of an object stands among the bounds of time, and no file system's."""
    bounds = [each for each in json.loads(report.read_text())["time"]["bounds"] if each["kind"] in {"store", "file"}]
    assert [(each["what"], each["bound"], each["kind"]) for each in bounds] == [
        (f"the content of {name}", "not after", "store")
    ]
    return bool(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", bounds[0]["time"]))


def _rows(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False)


@pytest.mark.parametrize(
    ("url", "name", "given", "source"),
    [
        ("az://backups", "cluster/etcd-snapshot-n-1", PLAINTEXT, "etcd-snapshot-n-1"),
        ("az://backups", "cluster/etcd.backup.gz", REWRITTEN, "etcd.backup.gz!etcd.backup"),
        ("abfss://backups@auditor.dfs.core.windows.net", "cluster/etcd-snapshot-n-1", PLAINTEXT, "etcd-snapshot-n-1"),
    ],
    ids=["snapshot", "packed", "account"],
)
def test_an_object_of_azure_s_is_audited_as_the_file_is(
    azure: str, url: str, name: str, given: Path, source: str, tmp_path: Path
) -> None:
    work, environment, url = tmp_path / "work", azurite.connection(azure), f"{url}/{name}"
    work.mkdir()
    reports = ("--csv", tmp_path / "a.csv", "--json", tmp_path / "a.json")
    done = run("scan", url, *reports, "--work-dir", work, **environment)
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    assert run("scan", given, "--csv", tmp_path / "plain.csv").returncode == 1
    rows, plain = _rows(tmp_path / "a.csv"), _rows(tmp_path / "plain.csv")
    pd.testing.assert_frame_equal(rows.drop(columns="source"), plain.drop(columns="source"))
    assert len(rows) > 0
    assert set(rows.source) == {source}
    notes = " ".join(json.loads((tmp_path / "a.json").read_text())["notes"])
    assert f"{url}, {len(OBJECTS[name]):,} bytes" in notes
    assert ', ETag "0x' in notes
    assert stored(tmp_path / "a.json", name.rpartition("/")[2])
    assert list(work.iterdir()) == []
    assert azurite.KEY not in done.stdout + (tmp_path / "a.json").read_text()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("az://backups/none.db", "cannot be opened: there is no such object"),
        ("az://none/etcd-snapshot-n-1", "cannot be opened: there is no such object"),
        ("az://backups/cluster", "cannot be opened: it is a folder or a bucket: name one object in it"),
        ("az://backups", "cannot be opened: it is a folder or a bucket: name one object in it"),
    ],
)
def test_an_object_of_azure_s_that_is_not_there(azure: str, url: str, said: str) -> None:
    done = run("scan", url, **azurite.connection(azure))
    assert done.returncode == 2
    assert f"{url} {said}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_key_of_azure_s_is_told_and_not_shown(azure: str, tmp_path: Path) -> None:
    """Alone there is nothing to audit; beside what can be read it makes the result inconclusive."""
    url, environment = "az://backups/cluster/etcd-snapshot-n-1", azurite.connection(azure, azurite.WRONG)
    why = f"{url} cannot be opened: access is denied; look at the credentials in the environment"
    alone = run("scan", url, **environment)
    assert alone.returncode == 2
    assert alone.stdout == ""
    assert why in alone.stderr
    for missing, key in ((url, azurite.WRONG), ("az://backups/none.db", azurite.KEY)):
        report = tmp_path / f"{len(missing)}.json"
        done = run("scan", missing, DEFRAGMENTED, "--json", report, **azurite.connection(azure, key))
        assert done.returncode == 3, done.stdout + done.stderr
        problems = {part["name"]: part["problem"] for part in json.loads(report.read_text())["parts"]}
        assert not problems.pop(DEFRAGMENTED.name)
        assert [f"{missing} cannot be opened" in problem for problem in problems.values()] == [True]
        said = alone.stderr + done.stdout + done.stderr + report.read_text()
        assert not [each for each in (azurite.WRONG, azurite.KEY, "Traceback") if each in said]


def test_a_connection_string_that_is_none_is_not_shown() -> None:
    environment = {"AZURE_STORAGE_CONNECTION_STRING": f"nothing;AccountKey={azurite.KEY}"}
    done = run("scan", "az://backups/a.db", **environment)
    assert done.returncode == 2
    assert "az://backups/a.db cannot be opened" in done.stderr
    assert azurite.KEY not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_signed_url_of_an_object_of_azure_s(azure: str) -> None:
    name = "cluster/etcd.backup.gz"
    url = azurite.signed_url(azure, name)
    done = run("scan", url)
    assert done.returncode == 1, done.stderr
    assert f"streamed from {azure}/backups/{name}," in done.stdout.replace("\n", " ")
    denied = run("scan", url.replace("&sig=", "&sig=A"))
    assert denied.returncode == 2
    assert f"{azure}/backups/{name} cannot be opened" in denied.stderr
    signature = url.partition("sig=")[2]
    assert signature
    assert signature not in done.stdout + done.stderr + denied.stderr


@pytest.mark.parametrize(
    ("url", "library"),
    [("s3://b/a.db", "s3fs"), ("gs://b/a.db", "gcsfs"), ("az://b/a.db", "adlfs"), ("https://h/a.db", "aiohttp")],
)
def test_a_library_that_is_missing_is_named_with_the_way_out(url: str, library: str) -> None:
    """As in an environment without the extra: the library cannot be imported."""
    text = f"import sys; sys.modules[{library!r}] = None; from auditor.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", text, "scan", url], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{url} needs {library}, which is not installed: pip install 'etcd-auditor[remote]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_object_is_audited_as_the_file_is(s3: dict[str, str], tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    url = "s3://backups/cluster/etcd-snapshot-n-1"
    done = run(
        "scan", url, "--json", tmp_path / "a.json", "--csv", tmp_path / "a.csv", "--work-dir", work, **s3,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    assert f"streamed from {url}, {PLAINTEXT.stat().st_size:,} bytes" in done.stdout.replace("\n", " ")
    alone = auditor.scan(PLAINTEXT)
    rows = pd.read_csv(tmp_path / "a.csv", keep_default_na=False)
    assert set(rows.source) == {"etcd-snapshot-n-1"}
    assert set(rows.evidence) == {alone.evidence.sha256}
    assert rows.offset.tolist() == alone.findings.offset.tolist()
    assert rows.finding.tolist() == alone.findings.finding.tolist()
    assert not list(work.iterdir())
    said = (done.stdout + (tmp_path / "a.json").read_text()).encode()
    assert not [canary for canary in canaries(PLAINTEXT) if canary in said]
    assert "ETag" in json.loads((tmp_path / "a.json").read_text())["notes"][0]
    assert stored(tmp_path / "a.json", "etcd-snapshot-n-1")
    checked = run("verify", tmp_path / "a.json", url, **s3)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert run("verify", tmp_path / "a.json", PLAINTEXT).returncode == 0


def test_containers_and_several_in_a_bucket(s3: dict[str, str], tmp_path: Path) -> None:
    given = [f"s3://backups/{name}" for name in ("cluster/etcd.backup.gz", "two.tar", "none.db", "empty", "notes.txt")]
    done = run("scan", *given, "--json", tmp_path / "a.json", **s3)
    assert done.returncode == 1, done.stderr
    parts = {part["name"]: part["problem"] for part in json.loads((tmp_path / "a.json").read_text())["parts"]}
    assert [name for name, problem in parts.items() if not problem] == [
        "etcd.backup.gz!etcd.backup",
        "two.tar!a.db",
        "two.tar!b.db",
    ]
    assert "there is no such object" in parts["none.db"]
    assert "is empty" in parts["empty"]
    assert parts["notes.txt"]


def test_the_web(web: str) -> None:
    done = run("scan", f"{web}/etcd/snapshot.db?signature=SECRET")
    assert done.returncode == 1, done.stderr
    assert f"streamed from {web}/etcd/snapshot.db," in done.stdout.replace("\n", " ")
    assert "SECRET" not in done.stdout
    assert "36 readable values" in done.stdout


@pytest.mark.parametrize(("path", "said"), [("cut/a.db", "cut"), ("secret/a.db", "cannot be opened")])
def test_what_cannot_be_had_is_told(web: str, tmp_path: Path, path: str, said: str) -> None:
    done = run("scan", f"{web}/{path}?signature=SECRET", "--work-dir", tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert "SECRET" not in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_object_over_the_limit_is_not_fetched(s3: dict[str, str]) -> None:
    done = run("scan", "s3://backups/cluster/etcd-snapshot-n-1", "--max-unpacked", "1000", **s3)
    assert done.returncode == 2
    assert "raise --max-unpacked" in done.stderr


def test_a_missing_library_is_named(tmp_path: Path) -> None:
    (tmp_path / "s3fs.py").write_text("raise ImportError")
    done = run("scan", "s3://backups/a.db", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "pip install 'etcd-auditor[remote]'" in done.stderr


def test_nobody_answers(s3: dict[str, str]) -> None:
    done = run("scan", "http://127.0.0.1:9/a.db")
    assert done.returncode == 2
    assert "cannot be opened" in done.stderr
