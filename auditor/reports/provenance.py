"""Where and with what a run was made, for the chain of custody."""

from auditor.model.audit import Run


def facts(run: Run) -> list[tuple[str, str]]:
    """Name and text of each fact, as a page lists them."""
    return [(f"{name[0].upper()}{name[1:]}", text) for name, text in run.provenance]
