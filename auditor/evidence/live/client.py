"""A live etcd through its endpoints: one member at a time, another where that one fails, and a note of each change."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from auditor.evidence.live import errors
from auditor.evidence.live.access import Access, Endpoint
from auditor.evidence.live.cluster import Cluster
from auditor.evidence.live.member import Member
from auditor.evidence.live.members import MemberStatus

T = TypeVar("T")

ROUNDS = 4
"""Attempts at every endpoint before an error is raised."""
PAUSE = 1.0
"""Seconds before the second round; before the third twice as long, and so on: longer than an election takes."""
_MOST = 16
"""Threads that ask members for their status."""
EXPOSED = "http: what was read, and the password where a user is named, crossed the network in clear"


class Client:
    """Access to a cluster, with `notes` for the report. Connects lazily; `with` closes the connection."""

    def __init__(
        self, access: Access, cluster: Cluster | None = None, notify: Callable[[str], None] | None = None
    ) -> None:
        """A client that has not connected yet.

        Args:
            access: The endpoints and credentials.
            cluster: The cluster that all members must be of; by default that of the first answer.
            notify: Called with each note at once.
        """
        access.check()
        self.access = access
        self.cluster = cluster or Cluster()
        self.notes: list[str] = [EXPOSED] if access.exposed else []
        self._notify = notify
        self._member: Member | None = None
        self._next = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._member is not None:
            self._member.close()
            self._member = None

    def ask(self, work: Callable[[Member], T]) -> T:
        """The result of `work` with a member. After Unavailable the next endpoint's member begins it anew.

        A token that is not valid any more is renewed once. Raises any other LiveError of `work`, and Unavailable with
        the reason of each endpoint after the last attempt, or after Stuck when all were tried and the time is over.
        """
        reasons: dict[str, str] = {}
        renewed = False
        start = time.monotonic()
        most = ROUNDS * len(self.access.endpoints)
        attempts = 0
        while True:
            endpoint = self.access.endpoints[self._next]
            try:
                return work(self._connected(endpoint))
            except errors.Expired as error:
                self.close()
                if renewed or not self.access.user:
                    raise errors.Denied(f"{error}: authenticating again does not help") from None
                renewed = True
            except errors.Unavailable as error:
                self.close()
                reasons[endpoint.url] = str(error)
                attempts += 1
                everywhere = not attempts % len(self.access.endpoints)
                late = isinstance(error, errors.Stuck) and time.monotonic() - start >= self.access.timeout
                if attempts == most or (late and everywhere):
                    raise errors.Unavailable(_all(reasons)) from None
                self.note(f"{error}; {self.advance()}")
                if not attempts % len(self.access.endpoints):
                    time.sleep(PAUSE * attempts / len(self.access.endpoints))

    def advance(self) -> str:
        """Use the next endpoint from now on: what is done then, in words."""
        self.close()
        former = self.endpoint
        self._next = (self._next + 1) % len(self.access.endpoints)
        return "tried again" if self.endpoint == former else f"went on with {self.endpoint}"

    def statuses(self) -> tuple[list[MemberStatus], dict[str, str]]:
        """The status of every endpoint's member, and the reasons of the others.

        A member that seems behind is asked again: others may have moved on since it answered. Raises Unavailable where
        none answers, and DifferentClusters.
        """
        endpoints = self.access.endpoints
        pool = ThreadPoolExecutor(min(len(endpoints), _MOST))
        try:
            answers = list(zip(endpoints, pool.map(self._status, endpoints), strict=True))
            first = [answer for _, answer in answers if isinstance(answer, MemberStatus)]
            newest = max((status.revision for status in first), default=0)
            behind = [
                endpoint
                for endpoint, answer in answers
                if isinstance(answer, MemberStatus) and answer.revision < newest
            ]
            second = {
                answer.endpoint: answer for answer in pool.map(self._status, behind) if isinstance(answer, MemberStatus)
            }
        finally:  # an interrupt does not wait for a member that hangs
            pool.shutdown(wait=False, cancel_futures=True)
        failures = [answer for _, answer in answers if isinstance(answer, errors.LiveError)]
        silent = {endpoint.url: str(answer) for endpoint, answer in answers if isinstance(answer, errors.LiveError)}
        if not first:
            denial = next((failure for failure in failures if isinstance(failure, errors.Denied)), None)
            raise denial or errors.Unavailable(_all(silent))
        for status in first:
            self.cluster.check(status.cluster_id, status.endpoint)
        return [second.get(status.endpoint, status) for status in first], silent

    @property
    def endpoint(self) -> str:
        """The URL of the endpoint in use, or next to be used."""
        return self.access.endpoints[self._next].url

    def prefer(self, endpoint: str) -> None:
        """Begin with this endpoint, by its URL."""
        self.close()
        self._next = [other.url for other in self.access.endpoints].index(endpoint)

    def _status(self, endpoint: Endpoint) -> MemberStatus | errors.LiveError:
        try:
            with Member(self.access, endpoint) as member:
                return member.status()
        except errors.LiveError as error:
            return error

    def _connected(self, endpoint: Endpoint) -> Member:
        if self._member is None:
            self._member = Member(self.access, endpoint, self.cluster)
        return self._member

    def note(self, text: str) -> None:
        """Keep a note for the report, once, and pass it on."""
        if self._notify is not None:
            self._notify(text)
        if text not in self.notes:
            self.notes.append(text)


def _all(reasons: dict[str, str]) -> str:
    """The reasons of all endpoints in one sentence."""
    return "; ".join(dict.fromkeys(reasons.values())) or "no endpoint answers"
