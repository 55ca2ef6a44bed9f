"""Endpoints as users write them, and what must not be among them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import UsageError
from auditor.evidence.live.access import Access, Endpoint, endpoints, is_endpoint
from auditor.evidence.live.range_read import bounds


def test_several_in_one_text_and_in_several() -> None:
    found = endpoints(["https://a:1, https://b", "HTTPS://[fd00::1]:3", "https://a:1"])
    assert found == (Endpoint(True, "a", 1), Endpoint(True, "b", 2379), Endpoint(True, "fd00::1", 3))
    assert [each.url for each in found] == ["https://a:1", "https://b:2379", "https://[fd00::1]:3"]


def test_etcdctl_lets_the_scheme_go() -> None:
    assert endpoints(["127.0.0.1:2379,other"], secure=False) == (
        Endpoint(False, "127.0.0.1", 2379),
        Endpoint(False, "other", 2379),
    )
    assert endpoints(["127.0.0.1:2379"], secure=True)[0].secure
    with pytest.raises(UsageError, match=r"127\.0\.0\.1:2379 is no endpoint"):
        endpoints(["127.0.0.1:2379"])


@pytest.mark.parametrize(
    "text",
    ["", ",", "https://", "https://a:x", "https://a/path", "https://a?q", "ftp://a", "https://[::1", "https://a:99999"],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(UsageError):
        endpoints([text], secure=True)


@pytest.mark.parametrize("text", ["https://root:CANARY@a:1", "https://CANARY@a", "http://:CANARY@a/path"])
def test_a_password_in_a_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError, match="must not hold a user or password") as caught:
        endpoints([text])
    assert "CANARY" not in str(caught.value)


def test_a_password_is_not_shown() -> None:
    assert "CANARY" not in repr(Access(endpoints(["http://a"]), user="root", password="CANARY"))


@pytest.mark.parametrize(
    ("text", "exposed"),
    [
        ("http://127.0.0.1", False),
        ("http://localhost", False),
        ("http://[::1]:2379", False),
        ("https://10.0.0.1", False),
        ("http://10.0.0.1", True),
        ("http://127.0.0.1,http://etcd", True),
    ],
)
def test_what_crosses_a_network_in_clear(text: str, *, exposed: bool) -> None:
    assert Access(endpoints([text])).exposed is exposed


def test_paths_are_no_endpoints() -> None:
    assert not is_endpoint("https")
    assert not is_endpoint("./https://a")
    assert is_endpoint("Http://a")


@given(st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=12), st.binary(max_size=8))
def test_a_prefix_covers_what_lies_below_it_and_nothing_else(prefix: str, rest: bytes) -> None:
    start, end = bounds(prefix)
    assert start <= start + rest < end
    assert not start <= start[:-1] < end
    assert not start <= start[:-1] + b"0" + rest < end
