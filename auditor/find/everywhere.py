"""The search of all evidence that is named: exhibit after exhibit. One that cannot be read does not stop the others."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from auditor.errors import AuditorError, UsageError
from auditor.evidence.discovery import exhibits
from auditor.evidence.exhibit import Exhibit
from auditor.find.model import ExhibitSearch, Findings
from auditor.observer import SILENT, Observer
from auditor.options import Options
from auditor.scanning.exhibit import reach
from auditor.text import shown

if TYPE_CHECKING:
    from auditor.evidence.live.access import Access


def everywhere(
    paths: Sequence[str],
    options: Options,
    values: Sequence[bytes],
    observer: Observer = SILENT,
    access: "Access | None" = None,
) -> Findings:
    """Where the values stand in all evidence.

    Args:
        paths: The evidence.
        options: The keys.
        values: What to look for.
        observer: Its methods are called with the progress of hashing.
        access: How to reach a live etcd; then it is the only evidence.

    Raises:
        UsageError: The options do not fit the evidence.
        ConfigurationError: A configuration is not acceptable.
    """
    from auditor.judgement.criteria import prepare

    criteria = prepare(options)
    searches: list[ExhibitSearch] = []
    problems: list[tuple[str, str]] = []

    def look(exhibit: Exhibit) -> ExhibitSearch:
        with exhibit as files:
            files.work_dir = options.work_dir
            from auditor.find.search import search  # imported while the files are being hashed: numpy takes time

            return search(files, options, criteria, values, observer)

    for path in paths:
        try:
            found = reach(path, options, access)
            if found is not None:
                from auditor.evidence.live import exhibit as live

                searches.append(look(live.gather(found, options, observer)))
                continue
            with exhibits.opened(path, options) as members:
                for name, opener in members:
                    try:
                        searches.append(look(opener()))
                    except UsageError:
                        raise
                    except AuditorError as error:
                        problems.append((name, str(error)))
        except UsageError:
            raise
        except AuditorError as error:
            problems.append((shown(path), str(error)))
    return Findings(len(values), tuple(searches), tuple(problems))
