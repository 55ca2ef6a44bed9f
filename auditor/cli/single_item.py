"""The evidence of commands that take one item: a folder of files stands for the item in it."""


def single(evidence: str) -> str:
    """The item that an argument stands for. Raises UsageError for a folder with several. For the reading process."""
    from auditor.evidence.discovery import arguments  # a process that only reads the command line needs neither
    from auditor.verify.own import is_report

    return arguments.single(evidence, is_report)
