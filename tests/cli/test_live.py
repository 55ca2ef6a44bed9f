"""How the command line and etcdctl's variables become access to a live etcd."""

from pathlib import Path

import pytest

from auditor.cli.live_options import LiveOptions, access
from auditor.errors import UsageError
from auditor.evidence.live.access import Access
from tests.helpers.command import run
from tests.helpers.fixtures import REWRITTEN

URL = "https://127.0.0.1:2379"


def live_access(evidence: str, options: LiveOptions = LiveOptions(), **environment: str) -> Access:  # noqa: B008 - frozen
    result = access(evidence, options, environment)
    assert result is not None
    return result


def test_a_file_needs_no_access() -> None:
    assert access(str(REWRITTEN), LiveOptions(), {"ETCDCTL_USER": "root", "ETCDCTL_CACERT": "x"}) is None
    with pytest.raises(UsageError, match="is no endpoint"):
        access(str(REWRITTEN), LiveOptions(cacert=Path("ca.pem")), {})


def test_variables_of_etcdctl() -> None:
    files = {"ETCDCTL_CACERT": "ca", "ETCDCTL_CERT": "cert", "ETCDCTL_KEY": "key"}
    result = live_access(URL, LiveOptions(), **files, ETCDCTL_USER="root:pass:word")
    assert (result.cacert, result.cert, result.key) == ("ca", "cert", "key")
    assert (result.user, result.password) == ("root", "pass:word")
    assert live_access(URL, LiveOptions(cacert=Path("mine")), **files).cacert == "mine"
    assert live_access("http://127.0.0.1:1", LiveOptions(), **files).cacert == ""  # set for etcdctl, and no use here
    with pytest.raises(UsageError, match="certificates are for https"):
        live_access("http://127.0.0.1:1", LiveOptions(cacert=Path("mine")), **files)


def test_endpoints_of_etcdctl() -> None:
    assert live_access("a:1,b:2", ETCDCTL_ENDPOINTS="a:1,b:2").name == "http://a:1,http://b:2"
    assert live_access("a:1", LiveOptions(cacert=Path("ca")), ETCDCTL_ENDPOINTS="a:1").name == "https://a:1"
    assert live_access("a:1").name == "http://a:1"  # no file has this name
    assert access("a", LiveOptions(), {}) is None


def test_more_endpoints() -> None:
    assert live_access(URL, LiveOptions(more=["https://b", "https://c:1"])).name == f"{URL},https://b:2379,https://c:1"


def test_passwords(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from the file\r\nsecond line\n")
    assert live_access(URL, LiveOptions(user="u", password_file=file), ETCDCTL_PASSWORD="x").password == "from the file"
    assert live_access(URL, LiveOptions(user="u"), ETCDCTL_PASSWORD="x").password == "x"
    assert live_access(URL, LiveOptions(user="u"), ETCDCTL_USER="other:y", ETCDCTL_PASSWORD="x").user == "u"
    assert live_access(URL, LiveOptions(), ETCDCTL_PASSWORD="x").password == ""
    for options, said in (
        (LiveOptions(user="u:CANARY"), "--user takes a name only"),
        (LiveOptions(user="u", password_file=tmp_path / "absent"), "No such file"),
        (LiveOptions(password_file=file), "--password-file needs --user"),
    ):
        with pytest.raises(UsageError, match=said) as caught:
            live_access(URL, options)
        assert "CANARY" not in str(caught.value)
    file.write_bytes(b"\n")
    with pytest.raises(UsageError, match="its first line is empty"):
        live_access(URL, LiveOptions(user="u", password_file=file))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([REWRITTEN, "--range"], "--range and --keep belong to a live endpoint"),
        ([REWRITTEN, "--keep", "/tmp/x.db"], "--range and --keep belong to a live endpoint"),
        ([REWRITTEN, "--user", "root"], "is no endpoint"),
        (["http://127.0.0.1:1", "--keep", "-"], "name a file for the snapshot"),
        (["http://u:CANARY@127.0.0.1:1"], "must not hold a user or password"),
        (["http://127.0.0.1:1"], "nothing listens there"),
    ],
)
def test_the_command_refuses(arguments: list[str | Path], said: str) -> None:
    done = run("scan", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert "CANARY" not in done.stderr
