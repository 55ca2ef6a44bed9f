"""Roles that may read a part: it is read and named rightly, and what was asked for beyond it is not passed over."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import auditor
from auditor.errors import UsageError
from auditor.evidence.live import errors
from auditor.evidence.live.access import Access, endpoints
from auditor.evidence.live.roles import LAST, within, words
from auditor.evidence.live.scope import Scope
from auditor.kubernetes.resources import BUILT_IN
from auditor.watch.session import Session
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.command import run
from tests.helpers.etcd import Etcd
from tests.helpers.members import PASSWORD, program, programs, with_users
from tests.helpers.objects import StoredObject

KNOWN = frozenset(BUILT_IN)
KEY1 = auditor.Options(expect="aescbc:key1", range_only=True, accept_partial=True)
GRANTS = {
    "secrets": ["--prefix=true", "/registry/secrets/"],
    "namespace": ["--prefix=true", "/registry/secrets/shop/"],
    "several": ["/registry/configmaps/", "/registry/secrets0"],
    "one": ["/registry/secrets/shop/s3"],
    "other": ["--prefix=true", "/elsewhere/"],
}


@pytest.fixture(scope="module", params=programs())
def etcd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """10 Secrets under an old key in `shop` and 5 in `spare`, a ConfigMap, and a user for each of GRANTS."""
    with Etcd(tmp_path_factory.mktemp("roles") / "data", "--bcrypt-cost=4", program=program(request.param)) as etcd:
        for namespace, count in ((b"shop", 10), (b"spare", 5)):
            for number in range(count):
                etcd.put(
                    b"/registry/secrets/%b/s%d" % (namespace, number),
                    ciphertext("aescbc", b"key0", bytes(range(160, 224))),
                )
        thing = StoredObject(b"shop", b"c", kind=b"ConfigMap")
        etcd.put(b"/registry/configmaps/shop/c", thing.protobuf())
        for name, grant in GRANTS.items():
            options = [each for each in grant if each.startswith("--")]
            keys = [each for each in grant if not each.startswith("--")]
            etcd.ctl("role", "add", name)
            etcd.ctl("role", "grant-permission", *options, name, "read", *keys)
            etcd.ctl("user", "add", f"{name}:{PASSWORD}")
            etcd.ctl("user", "grant-role", name, name)
        with_users(etcd)
        yield etcd


def values(audit: auditor.Audit) -> int:
    return sum(count for _, _, _, count, _ in audit.tally.places)


def access(etcd: Etcd, user: str) -> Access:
    return Access(endpoints([etcd.url]), user=user, password=PASSWORD)


@pytest.mark.parametrize("prefixes", [(), ("/registry",), ("/registry/secrets",), ("registry/secrets/",)])
def test_a_role_on_secrets_alone(etcd: Etcd, prefixes: tuple[str, ...]) -> None:
    audit = auditor.scan("", replace(KEY1, storage_prefixes=prefixes), access=access(etcd, "secrets"))
    assert {(finding.label, count) for finding, _, count in audit.tally.findings} >= {("stale-key", 15)}
    assert {row.resource for row in audit.coverage} == {"secrets"}
    assert list(audit.findings.namespace[:1]) == ["shop"]
    assert audit.complete
    assert any("--range covers the current keys of /registry/secrets/" in note for note in audit.notes)
    assert any("keys outside /registry/secrets/" in part.what for part in audit.unexamined)


def test_without_accept_partial_what_is_outside_keeps_it_open(etcd: Etcd) -> None:
    options = auditor.Options(range_only=True)
    assert not auditor.scan("", options, access=access(etcd, "secrets")).complete


@pytest.mark.parametrize(("user", "count"), [("namespace", 10), ("one", 1)])
def test_a_part_of_what_was_asked_for_is_never_concluded_on(etcd: Etcd, user: str, count: int) -> None:
    audit = auditor.scan("", KEY1, access=access(etcd, user))
    assert values(audit) == count
    assert {row.resource for row in audit.coverage} == {"secrets"}
    assert not audit.complete
    assert any(part.decisive and "a part of /registry/secrets/" in part.what for part in audit.unexamined)


def test_every_range_that_the_role_has_is_read(etcd: Etcd) -> None:
    audit = auditor.scan("", KEY1, access=access(etcd, "several"))
    assert {row.resource for row in audit.coverage} == {"secrets", "configmaps"}
    assert audit.complete


def test_a_role_that_may_read_nothing_of_it(etcd: Etcd) -> None:
    said = (
        r"user other may read /elsewhere/; the least role to ask for: etcdctl role add etcd-auditor "
        r"&& etcdctl role grant-permission --prefix=true etcd-auditor read /registry/secrets/ "
        r"&& etcdctl user grant-role other etcd-auditor"
    )
    with pytest.raises(errors.Denied, match=said):
        auditor.scan("", KEY1, access=access(etcd, "other"))
    with pytest.raises(errors.Denied, match=said), Session(access(etcd, "other"), auditor.Options(), lambda _: None):
        pass


def test_keys_and_show_take_range(etcd: Etcd, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    user = ["--user", "secrets", "--password-file", str(file)]
    keys = run("keys", etcd.url, "--range", *user)
    assert keys.returncode == 3
    assert "aescbc" in keys.stdout
    assert "--range covers the current keys of /registry/secrets/" in keys.stdout
    shown = run("show", etcd.url, "shop/s3", "--range", *user)
    assert shown.returncode == 3
    assert "/registry/secrets/shop/s3" in shown.stdout
    assert "--range covers" in shown.stdout
    commands: list[list[str]] = [["keys", etcd.url], ["show", etcd.url, "shop/s3"]]
    for command in commands:
        denied = run(*command, *user)
        assert denied.returncode == 2
        assert "user secrets may read /registry/secrets/" in denied.stderr


def test_what_the_role_may_not_read_is_not_said_to_be_absent(etcd: Etcd, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    user = ["--range", "--user", "namespace", "--password-file", str(file)]
    hidden = run("show", etcd.url, "spare/s1", *user)
    assert hidden.returncode == 2
    assert f"what was read of {etcd.url} holds no key /registry/secrets/spare/s1" in hidden.stderr
    assert "a part of /registry/secrets/" in hidden.stderr
    other = run("show", etcd.url, "spare/s1", "--resource", "configmaps", *user)
    assert other.returncode == 2
    assert "holds" not in other.stderr.replace("what was read of", "") or "not read: " in other.stderr


def test_the_advised_role_is_enough(etcd: Etcd) -> None:
    with pytest.raises(errors.Denied) as denied:
        auditor.scan("", KEY1, access=access(etcd, "other"))
    commands = str(denied.value).partition("ask for: ")[2].split(" && ")
    for command in commands:
        etcd.ctl("--user", f"root:{PASSWORD}", *command.split()[1:])
    try:
        assert values(auditor.scan("", KEY1, access=access(etcd, "other"))) == 15
    finally:
        etcd.ctl("--user", f"root:{PASSWORD}", "user", "revoke-role", "other", "etcd-auditor")
        etcd.ctl("--user", f"root:{PASSWORD}", "role", "delete", "etcd-auditor")


def test_range_needs_an_endpoint() -> None:
    with pytest.raises(UsageError, match="--range"):
        auditor.scan("nowhere.db", auditor.Options(range_only=True))


def test_ranges_that_overlap_are_joined() -> None:
    assert within([(b"a", b"c"), (b"b", b"d"), (b"x", LAST)], [(b"b", b"z")]) == [(b"b", b"d"), (b"x", b"z")]
    assert within([(b"a", b"b")], [(b"b", b"c")]) == []
    assert words([(b"/a/", b"/a0"), (b"/k", b"/k\0"), (b"/x", LAST)]) == "/a/, the key /k, /x to the last key"


@pytest.mark.parametrize(
    ("prefix", "depth", "found"),
    [
        ("/registry/secrets", 4, "/registry"),
        ("/registry/secrets/shop", 4, "/registry"),
        ("/registry/apps/deployments", 5, "/registry/apps"),
        ("/registry", 4, "/registry"),
        ("/a/b", 5, "/a/b"),
        ("/etcd/secrets", 5, "/etcd/secrets"),
        ("/registry/services/specs", 5, "/registry"),
    ],
)
def test_a_prefix_that_is_a_resources_path(prefix: str, depth: int, found: str) -> None:
    """Unless its keys are too deep for that: then it is kube-apiserver's --etcd-prefix."""
    assert Scope((prefix,), ("secrets",), KNOWN).storage_prefixes(depth) == (found,)
