"""One self-check, from its beginning to its result."""

from auditor.errors import UsageError
from auditor.self_check import installation, known_answers
from auditor.self_check.result import SelfCheck, now


def check(work_dir: str = "") -> SelfCheck:
    """Audit the known evidence, and hash what is installed. Raises UsageError where there is no room to unpack it.

    work_dir: folder of the unpacked evidence; the system's temporary one where empty.
    """
    started = now()
    try:
        with known_answers.unpacked(work_dir) as (folder, cases):
            answers = tuple(known_answers.answer(case, folder) for case in cases)
    except OSError as error:
        raise UsageError(
            f"the known evidence cannot be unpacked: {error.strerror}; name another folder with --work-dir"
        ) from None
    program, dependencies = installation.program(), tuple(installation.dependencies())
    return SelfCheck(started, answers, program, dependencies, installation.lock())
