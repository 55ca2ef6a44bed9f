"""Endpoints that speak TLS: who is believed, and what is said of certificates that are not."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import auditor
from auditor.errors import UsageError
from auditor.evidence.live.access import Access, endpoints
from auditor.evidence.live.errors import Unavailable
from tests.helpers.command import run
from tests.helpers.etcd import Etcd, Tls
from tests.helpers.members import Authority, program, programs
from tests.helpers.objects import StoredObject


@dataclass
class Secured:
    etcd: Etcd
    authority: Authority
    client: Tls

    def access(self, **changed: object) -> Access:
        given = {"cacert": self.client.cacert, "cert": self.client.cert, "key": self.client.key, **changed}
        url = str(given.pop("url", self.etcd.url))
        return Access(endpoints([url]), timeout=5, **{name: str(value) for name, value in given.items()})

    def scan(self, **changed: object) -> auditor.Audit:
        return auditor.scan("", access=self.access(**changed))


@pytest.fixture(scope="module", params=programs())
def secured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    name = program(request.param)
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder / "certificates")
    # etcd's own gateway is a client of itself, and shows this certificate
    with Etcd(folder / "data", program=name, tls=authority.issue("server", "127.0.0.1", "etcd.example")) as etcd:
        etcd.put(StoredObject().key, StoredObject(data={b"password": b"hunter2"}).protobuf())
        yield Secured(etcd, authority, authority.issue("client"))


def test_mutual_tls(secured: Secured) -> None:
    assert secured.scan().tally.objects == 1


def test_by_the_command_and_by_etcdctls_variables(secured: Secured) -> None:
    files = {"--cacert": secured.client.cacert, "--cert": secured.client.cert, "--key": secured.client.key}
    options = [part for pair in files.items() for part in pair]
    assert run("scan", secured.etcd.url, *options).returncode == 1
    environment = {f"ETCDCTL_{name.lstrip('-').upper()}": str(path) for name, path in files.items()}
    done = run("scan", secured.etcd.url, **environment)
    assert done.returncode == 1
    bare = run("scan", ETCDCTL_ENDPOINTS=secured.etcd.endpoint, ETCDCTL_INSECURE_SKIP_TLS_VERIFY="true", **environment)
    assert bare.stdout.splitlines()[0] == done.stdout.splitlines()[0]
    assert bare.stderr == ("etcd-auditor: ETCDCTL_INSECURE_SKIP_TLS_VERIFY is not followed: certificates are checked\n")


def test_another_authority(secured: Secured, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    with pytest.raises(Unavailable, match=r"its certificate is not accepted: (unable to get local issuer|self.signed)"):
        secured.scan(cacert=other.cacert)


def test_a_client_of_another_authority(secured: Secured, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other").issue("stranger")
    with pytest.raises(Unavailable, match="it refuses our certificate"):
        secured.scan(cert=other.cert, key=other.key)


def test_no_client_certificate(secured: Secured) -> None:
    with pytest.raises(Unavailable, match=r"it refuses our certificate \(.*(certificate required|bad certificate)\)"):
        secured.scan(cert="", key="")


def test_a_client_certificate_that_has_expired(secured: Secured) -> None:
    old = secured.authority.issue("old", days=-1)
    with pytest.raises(Unavailable, match="it refuses our certificate"):
        secured.scan(cert=old.cert, key=old.key)


def test_a_name_that_the_certificate_has_not(secured: Secured) -> None:
    url = secured.etcd.url.replace("127.0.0.1", "localhost")
    with pytest.raises(Unavailable, match="its certificate is not accepted: Hostname mismatch"):
        secured.scan(url=url)
    assert secured.scan(url=url, server_name="etcd.example").tally.objects == 1


def test_a_server_certificate_that_has_expired(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "certificates")
    client = authority.issue("client")
    with Etcd(tmp_path / "data", tls=authority.issue("server", "127.0.0.1")) as etcd:
        etcd.put(StoredObject().key, StoredObject(data={b"password": b"hunter2"}).protobuf())
        secured = Secured(etcd, authority, client)
        assert secured.scan().tally.objects == 1
        authority.issue("server", "127.0.0.1", days=-1)  # etcd reads its files again for every connection
        with pytest.raises(Unavailable, match="its certificate is not accepted: certificate has expired"):
            secured.scan()


def test_http_where_https_is_meant_and_the_other_way_round(secured: Secured, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"is it https://\?"):
        auditor.scan(secured.etcd.url.replace("https", "http"))
    with Etcd(tmp_path / "data") as etcd, pytest.raises(Unavailable, match=r"TLS: is it http://\?"):
        secured.scan(url=f"https://{etcd.endpoint}")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cacert": "absent.pem"}, "--cacert absent.pem: No such file"),
        ({"cacert": __file__}, "it holds no PEM certificate"),
        ({"key": "absent.pem"}, "--key absent.pem: No such file"),
        ({"key": __file__}, "are no PEM certificate and its key"),
        ({"key": ""}, "--cert and --key belong together"),
        ({"url": "http://127.0.0.1:1"}, "are for https:// endpoints"),
        ({"url": "https://127.0.0.1:1,http://127.0.0.1:2"}, "some endpoints are https and some http"),
    ],
)
def test_files_that_are_not_what_they_must_be(secured: Secured, changed: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        secured.scan(**changed)
