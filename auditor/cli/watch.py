"""etcd-auditor watch: follow a rewrite, show its progress, print what remains at the end."""

import gc
import math
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli import checksums, confinement, live_options, output, worker
from auditor.cli.interrupt import Interrupt
from auditor.cli.live_options import NOT_LIVE, LiveOptions
from auditor.cli.options import (
    Configurations,
    Keks,
    Kms,
    KmsBudget,
    Plugins,
    Prefixes,
    Yes,
    kms_options,
    library_options,
)
from auditor.cli.progress import bars
from auditor.encryption.kms import address
from auditor.errors import UsageError
from auditor.options import Options

if TYPE_CHECKING:
    from auditor.evidence.live.access import Access
    from auditor.reports.watch.terminal import Board
    from auditor.watch.progress import Progress
    from auditor.watch.session import Session

CODES = (
    "Exit codes: 0 no current value is left in the old form, as a second read bore out; 1 it ended (--once, --for, "
    "Ctrl-C) while some remain; 2 bad usage, no endpoint answers, permission denied, or a fault of the auditor's own; "
    "3 none is known to remain, and it is not known that none does: there is no object at all, a value that no key of "
    "the configuration decrypts, an endpoint that may be of another cluster, an alarm, or a signal before all was read."
)

LONGEST_STEP = 0.25
"""Seconds between two looks for a signal."""
UNCONFIRMED = "it ended before a second read of every key, which would show that none remains"


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """One watch, as on the command line."""

    endpoint: str
    live: LiveOptions
    options: Options
    once: bool
    seconds: float
    """The watch ends after so many; 0: only when nothing remains."""
    every: float | None
    """Seconds between two lines, or two states of the table; None for what fits the output."""
    stuck_after: float
    patience: float
    html: Path | None
    json: Path | None
    remediation: Path | None
    force: bool


@live_options.live_options
def watch(
    endpoint: Annotated[
        str,
        typer.Argument(help="https://HOST:2379", show_default=False, envvar="ETCDCTL_ENDPOINTS"),
    ],
    resource: Annotated[
        list[str], typer.Option(help="What is rewritten, as an EncryptionConfiguration names it; repeatable.")
    ] = ["secrets"],  # noqa: B006
    storage_prefix: Prefixes = None,
    encryption_config: Configurations = None,
    kms_plugin: Plugins = None,
    kms: Kms = None,
    kms_budget: KmsBudget = 0,
    yes: Yes = False,
    current_kek: Keks = None,
    expect: Annotated[
        str, typer.Option(help="What the rewrite is to bring about: encrypted, plaintext, or PROVIDER[:KEY].")
    ] = "encrypted",
    once: Annotated[bool, typer.Option("--once", help="Read once, say what remains, and end.")] = False,
    for_: Annotated[
        float, typer.Option("--for", min=0, help="End after so many seconds; 0: only when nothing remains.")
    ] = 0.0,
    every: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help="Seconds between two lines, 10 when left out; on a terminal between two states of the table, 1.",
            show_default=False,
        ),
    ] = None,
    stuck_after: Annotated[
        float, typer.Option(min=0, help="Seconds after which an object that was passed over counts as stuck.")
    ] = 60.0,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds without any endpoint that answers, before it is given up.")
    ] = 300.0,
    live: LiveOptions = NOT_LIVE,
    expect_cluster: Annotated[
        str,
        typer.Option(
            help="Refuse an etcd whose kube-system namespace has another uid; for --remediation.", show_default=False
        ),
    ] = "",
    html: Annotated[Path | None, typer.Option(help="Write the state at the end as one HTML file.")] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the state at the end as JSON; - for standard output.")
    ] = None,
    remediation: Annotated[
        Path | None,
        typer.Option(help="Write a script that rewrites what the first read finds to remain, to read and to run."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")] = False,
) -> None:
    """Follow a rewrite while it runs: how many objects remain, where, how fast it goes, and which are stuck.

    Nothing is written to etcd, and a role that may read the resources' keys is enough.
    """

    options = library_options(
        resources=resource,
        storage_prefixes=storage_prefix,
        encryption_configs=encryption_config,
        kms_plugins=kms_plugin,
        **kms_options(kms, kms_budget, yes=yes),
        current_keks=current_kek,
        expect=expect,
        expect_cluster=expect_cluster,
    )
    request = WatchRequest(
        endpoint=endpoint,
        live=live,
        options=options,
        once=once,
        seconds=for_,
        every=every,
        stuck_after=stuck_after,
        patience=patience,
        html=html,
        json=json,
        remediation=remediation,
        force=force,
    )
    limits = confinement.limits([endpoint], [options], [html, json, remediation])
    raise typer.Exit(worker.run(partial(run, request), limits))


def run(request: WatchRequest) -> int:
    """The exit code: 1 some remain, 3 inconclusive, 0 neither. Raises AuditorError."""
    gc.enable()  # this command alone runs for hours
    access = live_options.access(request.endpoint, request.live)
    if access is None:
        raise UsageError(f"{request.endpoint} is no endpoint: watch needs https://HOST:2379")
    targets = [request.html, request.json, request.remediation]
    protected = [Path(path) for path in (*request.options.encryption_configs, *address.files(request.options.kms))]
    output.check([*targets, *checksums.targets(targets)], protected, force=request.force)
    with Interrupt() as interrupt:
        return _run(request, access, interrupt)


def _run(request: WatchRequest, access: "Access", interrupt: Interrupt) -> int:
    from rich.text import Text

    from auditor.reports.remediation import plan
    from auditor.reports.terminal import Printer
    from auditor.reports.watch import json, terminal, words
    from auditor.watch.session import Session

    if request.remediation is not None:
        plan.cluster_uid("", request.options.expect_cluster, access.name)
    notes: list[str] = []
    targets = [request.json, request.remediation]
    # where a document goes to standard output, text for people goes to standard error
    console = Printer(sys.stderr if output.STDOUT in targets else sys.stdout)
    resources = request.options.resources
    board = terminal.Board(console, request.every)

    def notify(text: str) -> None:
        notes.append(text)
        board.say(text)

    session = Session(access, request.options, notify, patience=request.patience, stuck=request.stuck_after)
    interrupt.breaks, session.check = lambda: session.reading, interrupt.check
    board.head = f"etcd-auditor watch {access.name}: {session.policy}"
    _unwrap(session)
    with board:
        progress = _watch(request, session, board, interrupt)
    tracks = [each for client in session.criteria.clients for each in client.tracks()]
    calls = [text for each in tracks for text in each.sentences()]
    notes += calls
    configured = session.configured
    if request.json or request.html:
        document = json.document(progress, resources, session.policy, notes, tracks, configured=configured)
        _save(request, document, progress, access.name)
    # without a read there is no script
    checksums.write(targets if progress.revision else [request.html, request.json], force=request.force)
    terminal.end(progress, console, resources, configured=configured)
    for text in calls:
        console.print(Text(f"Note: {text}."))
    if lines := output.written([*targets, *checksums.targets(targets)]):
        console.print(*lines, sep="\n", markup=False, soft_wrap=True)
    return words.exit_code(progress, configured=configured)


def _unwrap(session: "Session") -> None:
    """Ask --kms for the wrapped keys, which a terminal confirms before the board is shown. Raises AuditorError."""
    try:
        with bars() as observer:
            session.unwrap(observer)
    except KeyboardInterrupt:
        raise UsageError("interrupted before the wrapped keys were asked for: nothing was judged") from None


def _save(request: WatchRequest, document: dict[str, Any], progress: "Progress", name: str) -> None:
    """Write the documents of the state at the end. name: of the endpoint."""
    from auditor.reports.watch import html, json
    from auditor.text import moment
    from auditor.version import __version__

    if request.json:
        output.save(request.json, lambda out: json.write(document, out), force=request.force)
    if request.html:
        run = __version__, moment(time.time())
        output.save(request.html, lambda out: html.write(document, progress, name, run, out), force=request.force)


def _watch(request: WatchRequest, session: "Session", board: "Board", interrupt: Interrupt) -> "Progress":
    """The state at the end, which names every object that remains where a document is asked for."""
    with ExitStack() as stack:
        try:
            interrupt.check()
            stack.enter_context(session)
        except KeyboardInterrupt:
            board.say("interrupted before every key was read" + ("; no script is made" if request.remediation else ""))
            return session.progress()
        progress = session.progress(name_all=request.remediation is not None)
        if request.remediation is not None:
            _write_script(request, request.remediation, session, progress)
        board.show(progress)
        confirmed = request.once or _follow(session, board, request.seconds, interrupt)
        progress = session.progress(name_all=bool(request.json or request.html))
        if progress.over and not confirmed:
            progress = replace(progress, doubts=(*progress.doubts, UNCONFIRMED))
        return progress


def _write_script(request: WatchRequest, target: Path, session: "Session", progress: "Progress") -> None:
    """The script that rewrites what the first read finds to remain."""
    from auditor.options import settings
    from auditor.reports.remediation import plan, script
    from auditor.reports.remediation.objects import ObjectReference

    names = [each.object for each in progress.remaining]
    objects = [ObjectReference(each.resource, each.namespace, each.name, each.key) for each in names]
    at = f"the keys of {session.endpoints} at revision {progress.revision:,}"
    made = plan.of_objects(objects, at, progress.revision, settings(request.options), session.policy, session.prefixes)
    output.save(target, partial(script.write_plan, made), force=request.force)


def _follow(session: "Session", board: "Board", seconds: float, interrupt: Interrupt) -> bool:
    """Follow until nothing remains, the time is over, or a signal: whether a second read has shown the end."""
    confirmed = False
    with suppress(KeyboardInterrupt):  # while keys were read: nothing of the state has changed
        confirmed = _until_over(session, board, seconds, interrupt)
    if interrupt.came:
        board.say("interrupted")
    board.show(session.progress(), last=True)
    return confirmed


def _until_over(session: "Session", board: "Board", seconds: float, interrupt: Interrupt) -> bool:
    """Whether the end is reached, as a second read of every key confirms. Raises KeyboardInterrupt."""
    session.deadline = time.monotonic() + (seconds or math.inf)
    if session.progress().over and session.confirm():
        return True
    session.follow()
    due = time.monotonic() + board.pause()
    while not interrupt.came and time.monotonic() < session.deadline:
        session.step(min(max(due - time.monotonic(), 0.0), LONGEST_STEP))
        if time.monotonic() < due:
            continue
        before = time.monotonic()
        progress = session.progress()
        board.show(progress)
        due = time.monotonic() + board.pause(time.monotonic() - before)
        if progress.over and session.confirm():
            return True
    return not interrupt.came and session.progress().over and session.confirm()
