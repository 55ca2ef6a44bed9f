"""The layout of evidence outside its stored values: place and page of a position, by its file and the page map."""

from dataclasses import dataclass

from auditor.evidence.exhibit import Exhibit, Role
from auditor.model.evidence import PageMap
from auditor.model.vocabulary import PageKind, Place

_WAL = frozenset({Role.LOG, Role.LOG_COPY, Role.SQLITE_LOG, Role.DQLITE_LOG})


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of the evidence outside its stored values."""

    pages: PageMap
    """Kind of each page of the database."""
    wal: frozenset[str]
    """Names of the files that belong to a write-ahead log."""

    @classmethod
    def of(cls, exhibit: Exhibit, pages: PageMap) -> "Layout":
        """The layout of an exhibit."""
        return cls(pages, frozenset(file.name for role, file in exhibit.files if role in _WAL))

    def page(self, source: str, at: int) -> int:
        """Number of the page that a position lies in; -1 in a file without pages."""
        pages = self.pages
        return at // pages.page_size + pages.first if source == pages.source and pages.page_size else -1

    def place(self, source: str, at: int) -> Place:
        """The place of a position outside every stored value, by the role of its file or by the kind of its page."""
        pages = self.pages
        if source != pages.source or not pages.page_size:
            return Place.WAL if source in self.wal else Place.UNPLACED
        page = at // pages.page_size
        kind = pages.kinds[page] if page < len(pages.kinds) else PageKind.PAST_HIGH_WATER
        return {PageKind.FREED: Place.FREED, PageKind.PREVIOUS_ROOT: Place.PREVIOUS_ROOT}.get(
            PageKind(kind), Place.SLACK
        )
