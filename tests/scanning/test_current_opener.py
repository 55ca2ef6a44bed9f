"""--current: what is current is decided in newer evidence of the same cluster, and unknown where that cannot say it."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

import auditor
from auditor.errors import UsageError
from auditor.reports import json as json_report
from auditor.scanning import many
from tests.helpers.command import run_wide as run
from tests.helpers.etcd import Etcd
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import KEY, OTHER, configuration, provider, seal

OLD, KEPT, NEW = b"Vq7-horse-rack-19", b"Zk3-otter-lamp-41", b"Wm5-raven-moss-77"
Stages = dict[str, Path]


def secret(name: bytes, password: bytes) -> StoredObject:
    return StoredObject(b"shop", name, {b"password": password})


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    """A cluster with two readable Secrets, then one rotated and both encrypted: snapshots, and its data directory."""
    folder = tmp_path_factory.mktemp("newer")
    rng = random.Random(11)
    with Etcd(folder / "data") as etcd:
        for thing in (secret(b"db", OLD), secret(b"api", KEPT)):
            etcd.put(thing.key, thing.protobuf())
        before = etcd.save(folder / "before.db")
        for thing in (secret(b"db", NEW), secret(b"api", KEPT)):
            etcd.put(thing.key, seal("secretbox", "key1", KEY, thing, rng))
        after = etcd.save(folder / "after.db")
        yield {
            "before": before,
            "after": after,
            "data": folder / "data",
            "config": Path(configuration(folder / "config.json", provider("secretbox", ("key1", KEY)))),
            "wrong": Path(configuration(folder / "wrong.json", provider("secretbox", ("key1", OTHER)))),
            "url": Path(etcd.url),
        }


def scan(path: Path, current: "Path | str", *configs: Path) -> auditor.Audit:
    return auditor.scan(
        path, auditor.Options(current=str(current), current_configs=tuple(map(str, configs)), rows=True)
    )


def same(audit: auditor.Audit) -> dict[str, str]:
    found = audit.findings[audit.findings.place == "latest"]
    return dict(zip(found["name"], found.same_as_latest, strict=True))


@pytest.mark.parametrize("kind", ["snapshot", "data directory", "live"])
def test_what_is_current_is_decided_in_the_newer_one(kind: str, stages: Stages) -> None:
    """The latest values of the older one too: one of them has been rotated since."""
    current = {"snapshot": stages["after"], "data directory": stages["data"]}.get(kind)
    url = str(stages["url"]).replace(":/", "://")
    audit = scan(stages["before"], current or url, stages["config"])
    assert same(audit) == {"db": "no", "api": "yes"}
    assert audit.tally.current_holders == 1
    assert audit.current is not None
    assert not audit.current.limits
    document = json_report.document(audit, auditor.Severity.MEDIUM)
    jsonschema.Draft202012Validator(json_report.schema()).validate(document)
    assert document["current"]["revision"] == 5
    assert "(revision 5, newest object time 2026-09-21T14:13:20Z)" in document["conclusion"][1]


def test_one_that_cannot_say_it_says_so(stages: Stages, tmp_path: Path) -> None:
    closed = scan(stages["before"], stages["after"])
    assert same(closed) == {"db": "unknown", "api": "unknown"}
    assert closed.current is not None
    assert closed.current.limits == ("2 current Secrets in it were not decrypted",)
    assert any(part.decisive and part.what == "what is current in after.db" for part in closed.unexamined)
    wrong = scan(stages["before"], stages["after"], stages["wrong"])
    assert same(wrong) == {"db": "unknown", "api": "unknown"}
    older = scan(stages["after"], stages["before"])
    assert set(older.inventory.same_as_latest) == {"unknown"}
    assert older.current is not None
    assert older.current.limits == ("it is older: at revision 3, where the audited evidence is at 5",)
    with Etcd(tmp_path / "other") as etcd:
        etcd.put(secret(b"db", OLD).key, secret(b"db", OLD).protobuf())
        for number in range(9):
            etcd.put(b"/registry/leases/n/l%d" % number, b"x")
        elsewhere = etcd.save(tmp_path / "other.db")
    foreign = scan(stages["before"], elsewhere)
    assert same(foreign) == {"db": "unknown", "api": "unknown"}
    assert foreign.current is not None
    assert foreign.current.limits == ("it is of another cluster",)


def test_the_command(stages: Stages, tmp_path: Path) -> None:
    """Its configuration is that of the evidence where no other is named; nothing is written over either."""
    done = run("scan", stages["before"], "--current", stages["after"], "--encryption-config", stages["config"])
    assert done.returncode == 1
    assert "1 of them holds what is current in after.db (revision 5" in done.stdout
    assert "Current   API snapshot" in done.stdout
    report, page = tmp_path / "r.json", tmp_path / "r.html"
    arguments = ["--current-config", str(stages["config"]), "--json", str(report), "--html", str(page)]
    done = run("scan", stages["before"], "--current", stages["after"], *arguments)
    assert json.loads(report.read_text())["current"]["name"] == "after.db"
    assert "holds what is current in after.db" in page.read_text()
    refused = run("scan", stages["before"], "--current", stages["after"], "--csv", stages["after"], "--force")
    assert refused.returncode == 2
    for wrong in (["--current-config", str(stages["config"])], ["--as-of", "yesterday"], ["--current", ""]):
        assert run("scan", stages["before"], *wrong).returncode == 2
    assert run("scan", stages["before"], "--as-of", "2026-11-29T00:00:00Z").returncode == 1


def test_several_exhibits_are_compared_with_the_same_newer_one(stages: Stages) -> None:
    paths = [str(stages["before"]), str(stages["after"])]
    options = auditor.Options(current=paths[1], encryption_configs=(str(stages["config"]),))
    audit = many.scan(paths, options)
    assert {part.name: part.current_holders > 0 for part in audit.parts} == {"before.db": True, "after.db": True}
    assert audit.current is not None
    with pytest.raises(UsageError):
        many.scan(paths, auditor.Options(current="https://127.0.0.1:1"))
