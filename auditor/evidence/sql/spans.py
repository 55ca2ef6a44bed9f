"""Stretches of a text that were understood."""


class Spans:
    """Stretches of a file, ascending; those that touch are one."""

    def __init__(self) -> None:
        self.pairs: list[list[int]] = []

    def add(self, start: int, end: int) -> None:
        """Add a stretch; an empty one counts for nothing."""
        if start >= end:
            return
        if self.pairs and self.pairs[-1][1] == start:
            self.pairs[-1][1] = end
        else:
            self.pairs.append([start, end])
