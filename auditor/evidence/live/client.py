"""A live etcd through its endpoints: one member at a time, another where that one fails, and a note of each change."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from auditor.evidence.live import errors
from auditor.evidence.live.access import Access, Endpoint
from auditor.evidence.live.member import Member, MemberStatus

T = TypeVar("T")

ROUNDS = 4
"""How often every endpoint is tried before it is given up."""
PAUSE = 1.0
"""Seconds before the second round; before the third twice as long, and so on: longer than an election takes."""
_MOST = 16
EXPOSED = "http: what was read, and the password where a user is named, crossed the network in clear"


class Client:
    """Access to a cluster. notes: what happened on the way and belongs into a report.

    Connects when it is first asked. `with` closes the connection.
    """

    def __init__(self, access: Access) -> None:
        access.check()
        self.access = access
        self.notes: list[str] = [EXPOSED] if access.exposed else []
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
        """`work` with a member. Where it raises Unavailable the next endpoint's member does it, from its beginning.

        A token that is not valid any more is renewed once. Raises the LiveError of `work` that is neither, and
        Unavailable, naming what each endpoint said, where none could.
        """
        said: dict[str, str] = {}
        renewed = False
        attempts = ROUNDS * len(self.access.endpoints)
        done = 0
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
                said[endpoint.url] = str(error)
                done += 1
                if done == attempts:
                    raise errors.Unavailable(_all(said)) from None
                self._next = (self._next + 1) % len(self.access.endpoints)
                following = self.access.endpoints[self._next]
                self._note(f"{error}; " + ("tried again" if following == endpoint else f"went on with {following.url}"))
                if not done % len(self.access.endpoints):
                    time.sleep(PAUSE * done / len(self.access.endpoints))

    def statuses(self) -> tuple[list[MemberStatus], dict[str, str]]:
        """What every endpoint's member says of itself, and why the others do not. Raises Unavailable where none does.

        A member that seems behind is asked again before it is called so: it was asked earlier than another.
        """
        with ThreadPoolExecutor(min(len(self.access.endpoints), _MOST)) as pool:
            asked = list(pool.map(self._standing, self.access.endpoints))
            found = [each for each in asked if isinstance(each, MemberStatus)]
            newest = max((each.revision for each in found), default=0)
            again = [
                endpoint
                for endpoint, each in zip(self.access.endpoints, asked, strict=True)
                if isinstance(each, MemberStatus) and each.revision < newest
            ]
            later = {each.endpoint: each for each in pool.map(self._standing, again) if isinstance(each, MemberStatus)}
        silent = {
            endpoint.url: str(each)
            for endpoint, each in zip(self.access.endpoints, asked, strict=True)
            if not isinstance(each, MemberStatus)
        }
        if not found:
            raise next((each for each in asked if isinstance(each, errors.Denied)), errors.Unavailable(_all(silent)))
        return [later.get(each.endpoint, each) for each in found], silent

    @property
    def endpoint(self) -> str:
        """The URL of the endpoint in use, or next to be used."""
        return self.access.endpoints[self._next].url

    def prefer(self, endpoint: str) -> None:
        """Begin with this endpoint, by its URL."""
        self.close()
        self._next = [each.url for each in self.access.endpoints].index(endpoint)

    def _standing(self, endpoint: Endpoint) -> MemberStatus | errors.LiveError:
        try:
            with Member(self.access, endpoint) as member:
                return member.status()
        except errors.LiveError as error:
            return error

    def _connected(self, endpoint: Endpoint) -> Member:
        if self._member is None:
            self._member = Member(self.access, endpoint)
        return self._member

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _all(said: dict[str, str]) -> str:
    """One sentence of what every endpoint said; each names itself."""
    return "; ".join(dict.fromkeys(said.values())) or "no endpoint answers"
