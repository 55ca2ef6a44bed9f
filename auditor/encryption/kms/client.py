"""A KMS that is called itself: one call for each distinct wrapped key, counted, bounded and remembered.

Nothing is called before fetch(), and afterwards only what fetch() was given is answered.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

from auditor.encryption.kms import hierarchy
from auditor.encryption.kms.interface import (
    NO_ANNOTATIONS,
    Answer,
    KmsError,
    KmsMismatch,
    KmsOtherVersion,
    KmsThrottled,
    KmsUntried,
    Service,
    WrappedKey,
)
from auditor.encryption.kms.quiet import quiet
from auditor.errors import AuditorError
from auditor.model.kms import KmsCalls
from auditor.text import moment

Opens: TypeAlias = Callable[[bytes], bool]
"""Whether a data key opens the value whose wrapped key it should be of."""
AT_ONCE = 8
"""Calls at the same time."""
ROUNDS = 3
"""Times that a throttled wrapped key is asked for, beside what the service's library repeats itself."""
FIRST_WAIT = 1.0
"""Seconds before the second round; twice as many before the third."""
IN_VAIN = 8
"""Calls to one key that were all denied, after which it is not called any more."""
UNANNOUNCED = "its wrapped key is not among those that were announced, and the KMS was not called for it"
FIRST_SIZES, SIZES = frozenset({16, 24, 32}), frozenset({32})
"""Bytes of a data key of KMS v1, and of a data key or seed of v2."""
SPENT = "the budget of --kms-budget was spent before it was its turn"


class Budget:
    """The calls that a run may still make; shared by its clients. None for as many as it needs."""

    def __init__(self, calls: int | None = None) -> None:
        self.left = calls

    def take(self) -> bool:
        """Whether one more call may be made, which is then counted. Called in one thread."""
        if self.left is None:
            return True
        if not self.left:
            return False
        self.left -= 1
        return True


@dataclass(slots=True)
class _Track:
    """The calls to one key."""

    calls: int = 0
    unwrapped: int = 0
    first: datetime | None = None
    last: datetime | None = None
    requests: list[str] = field(default_factory=list)
    answering: set[str] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)
    denied: KmsUntried | None = None


@dataclass(slots=True)
class _Again:
    """Wrapped keys to ask for once more, by the key to call."""

    throttled: dict[str, list[WrappedKey]] = field(default_factory=dict)
    """After a while."""
    others: dict[str, list[WrappedKey]] = field(default_factory=dict)
    """At once: another version may have wrapped them."""


class Client:
    """One --kms: an Unwrapper over a service."""

    def __init__(self, name: str, service: Service, budget: Budget) -> None:
        self.name = name
        """Name of the KMS whose values it is for, or `*`."""
        self.service = service
        self.calls = 0
        self._budget = budget
        self._principal: str | None = None
        self._answers: dict[WrappedKey, Answer | KmsError] = {}
        self._tests: dict[WrappedKey, Opens] = {}
        self._tracks: dict[str, _Track] = {}

    def __repr__(self) -> str:
        return f"Client({self.name!r}, {self.service.label!r})"

    def principal(self) -> str:
        """Who calls; logs in where the service wants that, once. Raises KmsError."""
        if self._principal is None:
            with quiet():
                try:
                    self._principal = self.service.principal()
                except AuditorError:
                    raise
                except Exception as error:  # noqa: BLE001 - a library's own, whose text may quote a token
                    raise KmsUntried(f"{self.service.label}: the login fails ({type(error).__name__})") from None
        return self._principal

    def plan(self, keys: Mapping[WrappedKey, Opens | None]) -> dict[str, list[WrappedKey]]:
        """The wrapped keys that have no answer yet, by the key to call; what needs no call has its answer afterwards.

        Args:
            keys: distinct wrapped keys, some with a test of their data key.
        """
        self._tests.update((wrapped, test) for wrapped, test in keys.items() if test is not None)
        plan: dict[str, list[WrappedKey]] = {}
        for wrapped in dict.fromkeys(map(self._asked, keys)):
            if wrapped in self._answers:
                continue
            try:
                plan.setdefault(self.service.key(wrapped), []).append(wrapped)
            except KmsError as error:
                self._answers[wrapped] = error
        return plan

    def calls_of(self, plan: Mapping[str, Sequence[WrappedKey]]) -> int:
        """The number of calls that a plan takes."""
        return sum(-(-len(keys) // self.service.batch) for keys in plan.values())

    def fetch(self, plan: Mapping[str, Sequence[WrappedKey]], progress: Callable[[int], None]) -> None:
        """Call the service for every wrapped key of a plan, AT_ONCE at the same time.

        Args:
            plan: of plan().
            progress: called with the number of wrapped keys that were asked for since the last time.
        """
        pending, waits = [(key, list(keys)) for key, keys in plan.items()], 0
        with quiet():
            while pending:
                again = self._round(pending, progress, last=waits == ROUNDS - 1)
                pending = [*again.throttled.items(), *again.others.items()]
                if again.throttled:
                    time.sleep(FIRST_WAIT * 2**waits)
                    waits += 1

    def unwrap(self, wrapped: bytes, key_id: str = "", annotations: Mapping[str, bytes] = NO_ANNOTATIONS) -> bytes:
        """The data key or seed that fetch() brought. Raises KmsError where it brought none."""
        key = WrappedKey(wrapped, key_id, frozenset(annotations.items()))
        asked = self._asked(key)
        answer = self._answers.get(asked)
        if answer is None:
            raise KmsUntried(UNANNOUNCED)
        if isinstance(answer, KmsError):
            raise type(answer)(str(answer))
        plaintext = answer.plaintext if asked == key else hierarchy.open_under(answer.plaintext, key)
        if plaintext is None:
            raise KmsMismatch(f"{self.service.label}: the local KEK that it unwraps is not that of its data key")
        return plaintext

    def close(self) -> None:
        """Close the connection; a later call opens another."""
        self.service.close()

    def answer(self, wrapped: WrappedKey) -> Answer | None:
        """The answer to a wrapped key; None where there is none."""
        answer = self._answers.get(self._asked(wrapped))
        return answer if isinstance(answer, Answer) else None

    def tracks(self) -> tuple[KmsCalls, ...]:
        """The calls to each key."""
        return tuple(
            KmsCalls(
                name=self.name,
                service=self.service.label,
                key=key,
                principal=self._principal or "",
                calls=track.calls,
                unwrapped=track.unwrapped,
                first=moment(track.first.timestamp()) if track.first else "",
                last=moment(track.last.timestamp()) if track.last else "",
                requests=tuple(track.requests),
                answering=tuple(sorted(track.answering)),
                outcomes=tuple(sorted(track.outcomes.items())),
            )
            for key, track in sorted(self._tracks.items())
        )

    def _asked(self, wrapped: WrappedKey) -> WrappedKey:
        """What the service is asked for: the local KEK of a hierarchy. A file holds that KEK itself."""
        return (hierarchy.local_kek(wrapped) if self.service.remote else None) or wrapped

    def _round(
        self, work: list[tuple[str, list[WrappedKey]]], progress: Callable[[int], None], *, last: bool
    ) -> _Again:
        """Ask once for each wrapped key; those to ask for again, of throttled ones unless it is the last round."""
        size = self.service.batch
        parts = [(key, keys[at : at + size]) for key, keys in work for at in range(0, len(keys), size)]
        again = _Again()
        running: dict[Future[Sequence[Answer | KmsError]], tuple[str, list[WrappedKey]]] = {}
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            for key, keys in parts:
                if len(running) >= AT_ONCE:
                    self._collect(running, again, progress, last=last)
                if (refusal := self._refusal(key)) is not None:
                    self._answers.update(dict.fromkeys(keys, refusal))
                    self._tracks[key].outcomes[str(refusal)] += len(keys)
                    progress(len(keys))
                else:
                    self._begin(key)
                    running[pool.submit(self._ask, keys)] = (key, keys)
            while running:
                self._collect(running, again, progress, last=last)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return again

    def _ask(self, keys: Sequence[WrappedKey]) -> Sequence[Answer | KmsError]:
        """The answers of one call. Whatever a library raises is an answer: its text may quote what the KMS says."""
        try:
            return self.service.decrypt(keys)
        except KmsError as error:
            return [error.with_traceback(None)] * len(keys)
        except Exception as error:  # noqa: BLE001
            return [KmsUntried(f"{self.service.label}: no answer that can be read ({type(error).__name__})")] * len(
                keys
            )

    def _checked(self, wrapped: WrappedKey, answer: Answer | KmsError) -> Answer | KmsError:
        """The answer, where it may be a data key: some services answer to a wrong key too."""
        if isinstance(answer, KmsError):
            return answer
        opens = self._tests.get(wrapped) if answer.otherwise is not None else None
        fits = len(answer.plaintext) in (SIZES if wrapped.key_id else FIRST_SIZES)
        if fits and (opens is None or opens(answer.plaintext)):
            return answer
        return answer.otherwise or KmsMismatch(f"{self.service.label}: the answer is no data key")

    def _refusal(self, key: str) -> KmsUntried | None:
        """Why a key is not called any more; None where it is, and the call is counted."""
        track = self._tracks.setdefault(key, _Track())
        if track.denied is not None and not track.unwrapped and track.calls >= IN_VAIN:
            return track.denied
        return None if not self.service.remote or self._budget.take() else KmsUntried(SPENT)

    def _begin(self, key: str) -> None:
        track = self._tracks[key]
        track.calls += self.service.remote
        self.calls += self.service.remote
        track.last = datetime.now(UTC)
        track.first = track.first or track.last

    def _collect(
        self,
        running: dict[Future[Sequence[Answer | KmsError]], tuple[str, list[WrappedKey]]],
        again: _Again,
        progress: Callable[[int], None],
        *,
        last: bool,
    ) -> None:
        """Take the answers of the calls that are over, of one at least."""
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            key, keys = running.pop(future)
            track = self._tracks[key]
            for wrapped, answer in zip(keys, map(self._checked, keys, future.result()), strict=True):
                if isinstance(answer, KmsThrottled) and not last:
                    again.throttled.setdefault(key, []).append(wrapped)
                    continue
                if isinstance(answer, KmsOtherVersion):
                    again.others.setdefault(key, []).append(wrapped)
                    continue
                progress(1)
                self._answers[wrapped] = answer
                if isinstance(answer, Answer):
                    track.unwrapped += 1
                    track.answering |= {answer.key} - {""}
                    if answer.request and answer.request not in track.requests[-1:]:
                        track.requests.append(answer.request)
                    continue
                track.outcomes[str(answer)] += 1
                if isinstance(answer, KmsUntried) and not isinstance(answer, KmsThrottled):
                    track.denied = answer
