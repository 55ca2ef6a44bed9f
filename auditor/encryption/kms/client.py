"""A KMS that is called itself: one call for each distinct wrapped key, counted, bounded and remembered.

Nothing is called before fetch(), and afterwards only what fetch() was given is answered.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime

from auditor.encryption.kms.interface import (
    NO_ANNOTATIONS,
    Answer,
    KmsError,
    KmsThrottled,
    KmsUntried,
    Service,
    WrappedKey,
)
from auditor.encryption.kms.quiet import quiet
from auditor.model.kms import KmsCalls
from auditor.text import moment

AT_ONCE = 8
"""Calls at the same time."""
ROUNDS = 3
"""Times that a throttled wrapped key is asked for, beside what the service's library repeats itself."""
FIRST_WAIT = 1.0
"""Seconds before the second round; twice as many before the third."""
IN_VAIN = 8
"""Calls to one key that were all denied, after which it is not called any more."""
UNANNOUNCED = "its wrapped key is not among those that were announced, and the KMS was not called for it"
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


class Client:
    """One --kms: an Unwrapper over a service."""

    def __init__(self, name: str, service: Service, budget: Budget) -> None:
        self.name = name
        """Name of the KMS whose values it is for, or `*`."""
        self.service = service
        self.calls = 0
        self._budget = budget
        self._principal = ""
        self._answers: dict[WrappedKey, Answer | KmsError] = {}
        self._tracks: dict[str, _Track] = {}

    def __repr__(self) -> str:
        return f"Client({self.name!r}, {self.service.label!r})"

    def principal(self) -> str:
        """Who calls; logs in where the service wants that. Raises KmsError."""
        with quiet():
            self._principal = self.service.principal()
        return self._principal

    def plan(self, keys: Iterable[WrappedKey]) -> dict[str, list[WrappedKey]]:
        """The wrapped keys that have no answer yet, by the key to call; what needs no call has its answer afterwards.

        Args:
            keys: distinct wrapped keys.
        """
        plan: dict[str, list[WrappedKey]] = {}
        for wrapped in keys:
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
        pending = [(key, list(keys)) for key, keys in plan.items()]
        with quiet():
            for number in range(ROUNDS):
                if number:
                    time.sleep(FIRST_WAIT * 2 ** (number - 1))
                pending = self._round(pending, progress, last=number == ROUNDS - 1)
                if not pending:
                    break

    def unwrap(self, wrapped: bytes, key_id: str = "", annotations: Mapping[str, bytes] = NO_ANNOTATIONS) -> bytes:
        """The data key or seed that fetch() brought. Raises KmsError where it brought none."""
        answer = self._answers.get(WrappedKey(wrapped, key_id, frozenset(annotations.items())))
        if answer is None:
            raise KmsUntried(UNANNOUNCED)
        if isinstance(answer, KmsError):
            raise type(answer)(str(answer))
        return answer.plaintext

    def answer(self, wrapped: WrappedKey) -> Answer | None:
        """The answer to a wrapped key; None where there is none."""
        answer = self._answers.get(wrapped)
        return answer if isinstance(answer, Answer) else None

    def tracks(self) -> tuple[KmsCalls, ...]:
        """The calls to each key."""
        return tuple(
            KmsCalls(
                name=self.name,
                service=self.service.label,
                key=key,
                principal=self._principal,
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

    def _round(
        self, work: list[tuple[str, list[WrappedKey]]], progress: Callable[[int], None], *, last: bool
    ) -> list[tuple[str, list[WrappedKey]]]:
        """Ask once for each wrapped key; those that were throttled, by key, unless it is the last round."""
        size = self.service.batch
        parts = [(key, keys[at : at + size]) for key, keys in work for at in range(0, len(keys), size)]
        throttled: dict[str, list[WrappedKey]] = {}
        running: dict[Future[Sequence[Answer | KmsError]], tuple[str, list[WrappedKey]]] = {}
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            for key, keys in parts:
                if len(running) >= AT_ONCE:
                    self._collect(running, throttled, progress, last=last)
                if (refusal := self._refusal(key)) is not None:
                    self._answers.update(dict.fromkeys(keys, refusal))
                    self._tracks[key].outcomes[str(refusal)] += len(keys)
                    progress(len(keys))
                else:
                    self._begin(key)
                    running[pool.submit(self.service.decrypt, keys)] = (key, keys)
            while running:
                self._collect(running, throttled, progress, last=last)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return list(throttled.items())

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
        throttled: dict[str, list[WrappedKey]],
        progress: Callable[[int], None],
        *,
        last: bool,
    ) -> None:
        """Take the answers of the calls that are over, of one at least."""
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            key, keys = running.pop(future)
            track = self._tracks[key]
            for wrapped, answer in zip(keys, future.result(), strict=True):
                if isinstance(answer, KmsThrottled) and not last:
                    throttled.setdefault(key, []).append(wrapped)
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
