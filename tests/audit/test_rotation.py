"""The list of what to rotate: its rows, order and counts, none doubled; redacted, split, compared with a baseline."""

import csv
import io
import json
import random
import re
from pathlib import Path

import pytest

import auditor
from auditor import Options
from auditor.errors import UsageError
from auditor.reports import rotation
from tests.helpers import credentials, sealing
from tests.helpers.certificates import NAMES, SERIAL, SUBJECT
from tests.helpers.command import run
from tests.helpers.etcd import snapshot_after
from tests.helpers.objects import StoredObject
from tests.helpers.taint import Taint

pytestmark = pytest.mark.etcd
ROTATION = Options(rotation=True)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return snapshot_after(tmp_path_factory.mktemp("credentials"), credentials.fill)


def listed(evidence: Path, options: Options = ROTATION) -> list[dict[str, str]]:
    out = io.StringIO()
    rotation.write_csv(auditor.scan(evidence, options), out)
    return list(csv.DictReader(io.StringIO(out.getvalue())))


def test_rows_order_and_counts(snapshot: Path) -> None:
    rows = listed(snapshot)
    cells = [tuple(row[name] for name in ("order", "status", "class", "secrets", "valid_until")) for row in rows]
    assert cells == credentials.ROWS
    audit = auditor.scan(snapshot, ROTATION)
    assert audit.rotation is not None
    assert (audit.rotation.credentials, audit.rotation.bundles, audit.rotation.empty) == (credentials.CREDENTIALS, 1, 1)
    assert [row["id"] for row in rows] == [f"R{number:03}" for number in range(len(rows))]
    assert rows[0]["rotate"].startswith("Stop the leak first")


def test_what_a_row_says(snapshot: Path) -> None:
    by_secrets = {(row["secrets"], row["status"]): row for row in listed(snapshot)}
    powerful = by_secrets["ops/admin-token (token)", "current"]
    assert powerful["reach"] == "may do everything: ClusterRoleBinding admins"
    assert (powerful["revoke"], powerful["can_read"]) == ("[ ]", "2")
    assert by_secrets["ops/weak-token (token)", "current"]["reach"] == ""
    database = by_secrets["shop/db (db-password)", "current"]
    assert (database["used_by"], database["can_read"], database["revoke"]) == ("pods/shop/web", "1", "")
    renewed = by_secrets["ops/cm-one (tls.key);ops/cm-two (tls.key)", "current"]
    assert (renewed["keeper"], renewed["credentials"]) == ("cert-manager", "2")
    helm = by_secrets["shop/sh.helm.release.v1.shop.v1 (release)", "current"]
    assert helm["rotate"].endswith(": chart-secret")


def test_owners_by_label_and_by_globs(snapshot: Path, tmp_path: Path) -> None:
    owners = tmp_path / "OWNERS"
    owners.write_text("# teams\nops/* platform-team\nops/kubeconfig fleet # of clusters\n")
    options = Options(rotation=True, owners=str(owners), owner_label="team")
    teams = {row["secrets"]: row["owner"] for row in listed(snapshot, options)}
    assert teams["ops/kubeconfig (value)"] == "fleet"
    assert teams["ops/weak-token (token)"] == "platform-team"
    assert teams["shop/oidc (id-token)"] == "checkout"
    assert teams["ops/b (pw);plain/c (password);shop/a (password)"] == "checkout;platform-team"


def test_a_file_of_owners_that_is_none(snapshot: Path, tmp_path: Path) -> None:
    owners = tmp_path / "OWNERS"
    owners.write_text("ops/* a\nshop/*\n")
    with pytest.raises(UsageError, match="line 2"):
        auditor.scan(snapshot, Options(rotation=True, owners=str(owners)))


def test_a_file_for_each_owner(snapshot: Path, tmp_path: Path) -> None:
    target = tmp_path / "list.csv"
    done = run("scan", snapshot, "--rotation", target, "--split-by", "owner", "--owner-label", "team")
    assert done.returncode == 1, done.stderr
    files = sorted(path.name for path in tmp_path.glob("*.csv"))
    assert files == ["list.checkout-platform.csv", "list.checkout.csv", "list.platform.csv"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())
    ids = [row["id"] for name in files for row in csv.DictReader(io.StringIO((tmp_path / name).read_text()))]
    assert sorted(set(ids)) == [f"R{number:03}" for number in range(len(credentials.ROWS))]
    assert len(ids) == len(credentials.ROWS) + 2, "the leak is in every file, all else in one"


def test_redacted_with_the_pseudonyms_of_the_rows(snapshot: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("0123456789abcdef0123")
    options = Options(rotation=True, redact_names=True, redact_key=str(key), owner_label="team")
    audit = auditor.scan(snapshot, options)
    for write in (rotation.write_csv, rotation.write_markdown):
        out = io.StringIO()
        write(audit, out)
        text = out.getvalue()
        for name in ("shop", "admin", "checkout", "kubeconfig (", "cm-one", "chart-secret", "web"):
            assert not re.search(rf"\b{re.escape(name)}(?![\w-])", text.replace("kubeconfigs", "")), name
        assert not re.search(r"\d{4}-\d\d-\d\d", text)
        assert "2031-Q1" in text.replace("\\", "")
    rows = zip(audit.rows.columns["namespace"], audit.rows.columns["name"], strict=True)
    known = {f"{namespace}/{name}" for namespace, name in rows}
    assert audit.rotation is not None
    secrets = {secret.partition(" ")[0] for row in audit.rotation.rows for secret in row.secrets}
    assert secrets <= known
    shapes = [(row.order, row.status, row.kind, len(row.secrets)) for row in audit.rotation.rows]
    plain = auditor.scan(snapshot, ROTATION).rotation
    assert plain is not None
    assert sorted(shapes) == sorted((row.order, row.status, row.kind, len(row.secrets)) for row in plain.rows)


def test_what_changed_since_the_baseline(tmp_path: Path) -> None:
    def stored(name: str) -> tuple[bytes, bytes]:
        thing = StoredObject(b"shop", name.encode(), {b"password": b"PASSWORD-of-" + name.encode()})
        return thing.key, thing.protobuf()

    before = sealing.database(tmp_path / "before.db", [stored("same"), stored("gone")])
    after = sealing.database(tmp_path / "after.db", [stored("same"), stored("new")])
    report = tmp_path / "before.json"
    assert run("scan", before, "--json", report).returncode == 1
    target = tmp_path / "list.csv"
    done = run("scan", after, "--baseline", report, "--rotation", target)
    assert done.returncode == 1, done.stderr
    states = {row["secrets"]: row["baseline"] for row in csv.DictReader(io.StringIO(target.read_text()))}
    assert states == {"": "", "shop/same (password)": "unchanged", "shop/new (password)": "new"}
    assert "Rotation: 2 credentials to rotate; 1 of the baseline is readable no more." in done.stdout


def test_encrypted_now_so_that_no_leak_is_left_and_an_unread_value_is_unknown(tmp_path: Path) -> None:
    """Leftovers whose current values are sealed under a key that is not there: unknown; with the key: current."""
    thing = StoredObject(b"shop", b"db", {b"password": b"PASSWORD-still-in-use"})
    key = bytes(range(32))
    sealed = b"k8s:enc:aesgcm:v1:key1:" + sealing.gcm(key, thing.protobuf(), thing.key, random.Random(1))
    evidence = sealing.database(tmp_path / "made.db", [(thing.key, thing.protobuf()), (thing.key, sealed)])
    assert [(row["order"], row["status"]) for row in listed(evidence)] == [("4", "unknown")]
    config = sealing.configuration(tmp_path / "c.json", sealing.provider("aesgcm", ("key1", key)))
    options = Options(rotation=True, encryption_configs=(config,))
    assert [(row["order"], row["status"]) for row in listed(evidence, options)] == [("4", "current")]


def test_no_byte_of_a_value_leaves(snapshot: Path, tmp_path: Path) -> None:
    """Serial numbers, subjects and names of certificates are values too."""
    names = {"--rotation": "a.md", "--csv": "b.csv", "--html": "c.html", "--json": "d.json", "--sarif": "e.sarif"}
    paths = [part for option, name in names.items() for part in (option, str(tmp_path / name))]
    done = run("scan", snapshot, *paths, "--inventory", tmp_path / "f.csv")
    taint = Taint([*credentials.VALUES, SUBJECT.encode() * 2])
    texts = {path.name: path.read_text("utf-8", "replace") for path in tmp_path.iterdir()}
    texts |= {"stdout": done.stdout, "stderr": done.stderr}
    assert {"a.md", "b.csv", "c.html", "d.json", "e.sarif", "f.csv"} < set(texts)
    assert [name for name, text in texts.items() if taint.within(text)] == []
    parts = (SUBJECT, *NAMES[:1], str(SERIAL), f"{SERIAL:x}", f"{SERIAL:X}")
    assert [name for name, text in texts.items() if any(part in text for part in parts)] == []
    sarif = json.loads(texts["e.sarif"])
    assert not any({"used_by", "valid_until"} & each["properties"].keys() for each in sarif["runs"][0]["results"])
    assert "Stop the leak" not in texts["e.sarif"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rotation", "x.txt"], "must end in .csv or .md"),
        (["--rotation", "x.csv", "--split-by", "team"], "only `owner` is known"),
        (["--split-by", "owner"], "says nothing without"),
        (["--owner-label", "team"], "says nothing without"),
    ],
)
def test_options_that_contradict_each_other(snapshot: Path, arguments: list[str], said: str) -> None:
    done = run("scan", snapshot, *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_show_lists_who_uses_and_who_may_read_it(snapshot: Path) -> None:
    done = run("show", snapshot, "shop/db")
    assert done.returncode in {0, 3}, done.stderr
    assert "Note: used by: pods/shop/web." in done.stdout
    assert "Note: service accounts that RBAC here lets read it: ops/admin." in done.stdout
