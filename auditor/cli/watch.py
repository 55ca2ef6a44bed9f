"""etcd-auditor watch: follow a rewrite, show how far it is, say what remains at the end."""

from __future__ import annotations

import gc
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.cli import checksums, live_options, output
from auditor.cli.live_options import LiveOptions
from auditor.errors import UsageError
from auditor.options import Options

if TYPE_CHECKING:
    from auditor.reports.watch.terminal import Board
    from auditor.watch.progress import Progress
    from auditor.watch.session import Session

TICK = 1.0
"""Seconds between two looks at the state, at least four times what one of them takes."""


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """One watch as the command line asked for it. seconds: after which it ends, 0 for never."""

    endpoint: str
    live: LiveOptions
    options: Options
    once: bool
    seconds: float
    every: float
    stuck_after: float
    patience: float
    json: Path | None
    remediation: Path | None
    force: bool


def run(request: WatchRequest) -> int:
    """The exit code: 1 some remain, 3 inconclusive, 0 neither. Raises AuditorError."""
    gc.enable()  # this command alone runs for hours
    access = live_options.access(request.endpoint, request.live)
    if access is None:
        raise UsageError(f"{request.endpoint} is no endpoint: watch needs https://HOST:2379")
    targets = [request.json, request.remediation]
    read = [Path(path) for path in request.options.encryption_configs]
    output.check([*targets, *checksums.targets(targets)], read, force=request.force)
    from auditor.reports import remediation
    from auditor.reports.terminal import Printer
    from auditor.reports.watch import json, terminal, words
    from auditor.watch.session import Session

    notes: list[str] = []
    # where a document goes to standard output, everything for people goes to standard error
    console = Printer(sys.stderr if output.STDOUT in targets else sys.stdout)
    resources = request.options.resources
    board = terminal.Board(console, request.every)

    def said(text: str) -> None:
        notes.append(text)
        board.say(text)

    session = Session(access, request.options, said, patience=request.patience, stuck=request.stuck_after)
    board.head = f"etcd-auditor watch {access.name}: {session.policy}"
    with board, session:
        found = session.account(name_all=request.remediation is not None)
        if request.remediation:
            objects = [(each.of.resource, each.of.namespace, each.of.name) for each in found.left]
            at = f"the keys of {access.name} at revision {found.revision:,}"
            output.save(request.remediation, lambda out: remediation.rewrite(objects, at, out), force=request.force)
        board.show(found)
        if not request.once:
            found = _follow(session, board, request.seconds)
        if request.json:
            found = session.account(name_all=True)
    configured = session.configured
    if request.json:
        document = json.document(found, resources, session.policy, notes, configured=configured)
        output.save(request.json, lambda out: json.write(document, out), force=request.force)
    checksums.write(targets, force=request.force)
    terminal.end(found, console, resources, configured=configured)
    return words.exit_code(found, configured=configured)


def _follow(session: Session, board: Board, seconds: float) -> Progress:
    """Until nothing remains, the time is over, or Ctrl-C: the state at the end."""
    begun = time.monotonic()
    found = session.account()
    try:
        if not found.all.remaining and session.confirm():
            return session.account()
        session.follow()
        due = time.monotonic() + TICK
        while not seconds or time.monotonic() - begun < seconds:
            changed = session.step(max(due - time.monotonic(), 0.0))
            if time.monotonic() < due and changed:
                continue
            before = time.monotonic()
            found = session.account()
            board.show(found)
            due = time.monotonic() + max(TICK, 4 * (time.monotonic() - before))
            if not found.all.remaining and session.confirm():
                break
    except KeyboardInterrupt:
        board.say("interrupted")
    found = session.account()
    board.show(found, last=True)
    return found
