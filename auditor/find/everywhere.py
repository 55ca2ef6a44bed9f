"""The search of all evidence that is named: exhibit after exhibit. One that cannot be read does not stop the others."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from auditor import inputs
from auditor.errors import AuditorError, UsageError
from auditor.evidence.discovery import arguments, exhibits
from auditor.find.model import ExhibitSearch, Search
from auditor.observer import SILENT, Observer
from auditor.options import Options
from auditor.scanning.exhibit import live, reach
from auditor.text import shown

if TYPE_CHECKING:
    from auditor.evidence.live.access import Access
    from auditor.judgement.criteria import Criteria


def everywhere(
    paths: Sequence[str],
    options: Options,
    values: Sequence[bytes],
    observer: Observer = SILENT,
    access: "Access | None" = None,
) -> Search:
    """Where the values stand in all evidence.

    Args:
        paths: The evidence.
        options: The keys.
        values: What to look for.
        observer: Its methods are called with the progress of hashing, and before calls of --kms.
        access: How to reach a live etcd; then it is the only evidence.

    Raises:
        UsageError: The options do not fit the evidence, or the calls of --kms were not confirmed.
        ConfigurationError: A configuration is not acceptable.
    """
    from auditor.judgement.criteria import prepare

    searches: list[ExhibitSearch] = []
    problems: list[tuple[str, str]] = []
    with closing(prepare(options)) as criteria:
        first = next((path for path in paths if arguments.URL not in path and path != inputs.STDIN), "")
        for path in paths:
            # one search of a text is enough: with the first evidence that lies in a folder
            own = options if path == first else replace(options, beside_texts=())
            try:
                for name, opener in _openers(path, own, observer, access):
                    result = _searched(opener, own, criteria, values, observer)
                    if isinstance(result, str):
                        problems.append((name, result))
                    else:
                        searches.append(result)
            except UsageError:
                raise
            except AuditorError as error:
                problems.append((shown(path), str(error)))
        if options.beside_texts and not first:
            problems.append((shown(options.beside_texts[0]), "no evidence lies beside it: not searched"))
    calls = tuple(calls for client in criteria.clients for calls in client.tracks())
    return Search(len(values), tuple(searches), tuple(problems), calls)


def _searched(
    opener: exhibits.OpenExhibit, options: Options, criteria: "Criteria", values: Sequence[bytes], observer: Observer
) -> ExhibitSearch | str:
    """The search of one exhibit, or why it cannot be read."""
    try:
        with opener() as files:
            files.work_dir = options.work_dir
            from auditor.find.search import search  # imported while the files are being hashed: numpy takes time

            return search(files, options, criteria, values, observer)
    except UsageError:
        raise
    except AuditorError as error:
        return str(error)


def _openers(
    path: str, options: Options, observer: Observer, access: "Access | None"
) -> Iterator[tuple[str, exhibits.OpenExhibit]]:
    """Name and opener of every exhibit at a path, or behind a live endpoint."""
    access = reach(path, options, access)
    if access is not None:
        yield shown(path), partial(live, access, options, observer)
        return
    with exhibits.opened(path, options) as members:
        yield from members
