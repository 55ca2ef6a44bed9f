"""Whether an endpoint that has never answered is of the cluster whose other endpoints do.

Format: etcd api/etcdserverpb/rpc.proto (Member): `clientURLs` are what a member advertises to clients; one that was
never started has none. A loopback address means whoever reads it: it counts only where the member that answers is
reached by an address of its own list, so that both sides are on one host.
"""

import socket
from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from auditor.errors import UsageError
from auditor.evidence.live import access, errors
from auditor.evidence.live.access import Endpoint
from auditor.evidence.live.client import Client
from auditor.evidence.live.member import Member

MOST = 64
"""Client URLs of a list that are looked at: ten times those of a large cluster."""

Address = tuple[str, int]
"""Host or IP address and port; the path of a Unix socket and 0."""


def doubts(client: Client, silent: Mapping[str, str], answering: str) -> list[str]:
    """Sentences on endpoints of which nothing tells that they are of the cluster; empty where there are none.

    Args:
        client: The endpoints, and the cluster.
        silent: The URLs of those that do not answer now, with the reasons.
        answering: The URL of one that does.

    Raises:
        DifferentClusters: Of another cluster than before.
    """
    unknown = [each for each in client.access.endpoints if each.url in silent and not client.cluster.knows(each.url)]
    if not unknown:
        return []
    client.prefer(answering)
    try:
        listed = _advertised(client)
    except (errors.DifferentClusters, errors.SetBack):
        raise
    except errors.LiveError:
        return [doubt(each.url, "the list of members cannot be read") for each in unknown]
    return [
        doubt(each.url, "the client URLs of the members do not name it")
        for each in unknown
        if not listed & _addresses(each)
    ]


def doubt(url: str, why: str) -> str:
    """The sentence on an endpoint."""
    return f"whether {url} is of this cluster is not known: it has not answered, and {why}"


def _advertised(client: Client) -> set[Address]:
    """The addresses that the members advertise, those of this host only where they mean the members' own."""
    answer = client.ask(Member.members)
    urls = {each.ID: list(each.clientURLs) for each in answer.members}
    own = _all(urls.get(answer.header.member_id, ()))
    (reached,) = (each for each in client.access.endpoints if each.url == client.endpoint)
    listed = _all(url for each in urls.values() for url in each)
    return listed if own & _addresses(reached) else {each for each in listed if not _local(each)}


def _all(urls: Iterable[str]) -> set[Address]:
    addresses: set[Address] = set()
    for _, url in zip(range(MOST), urls, strict=False):
        try:
            (endpoint,) = access.endpoints([url])
        except (UsageError, ValueError):
            continue
        addresses |= _addresses(endpoint)
    return addresses


def _addresses(endpoint: Endpoint) -> set[Address]:
    """The host as it is written, and each IP address that it has."""
    if endpoint.socket:
        return {(endpoint.socket, 0)}
    try:
        return {(str(ip_address(endpoint.host)), endpoint.port)}
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(endpoint.host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        found = []
    hosts = {endpoint.host.lower(), *(str(each[4][0]).partition("%")[0] for each in found)}
    return {(host, endpoint.port) for host in hosts}


def _local(address: Address) -> bool:
    host, port = address
    if not port or host == "localhost":
        return True
    try:
        ip = ip_address(host)
    except ValueError:
        return False
    return ip.is_loopback or ip.is_unspecified
