"""The reader of last resort: of an exhibit that its reader does not understand, and in which sweeps meet values.

What they meet becomes fragments, as anywhere else: agreement.py.
"""

from auditor.audit import agreement
from auditor.audit.media import Sweeps
from auditor.errors import UnreadableEvidence
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.layout import Layout
from auditor.evidence.reading import Reading
from auditor.model.evidence import Gap, PageMap
from auditor.model.vocabulary import EvidenceKind


def read(exhibit: Exhibit, sweeps: Sweeps, error: UnreadableEvidence) -> Reading:
    """No rows, and a gap for each file. Raises the reader's error where no sweep meets the beginning of a value.

    Args:
        exhibit: What the reader does not understand.
        sweeps: Of it.
        error: Of the reader.
    """
    layout = Layout.of(exhibit, PageMap.NONE)
    if not agreement.compare(sweeps, [agreement.NO_SPANS] * len(sweeps.files), layout).differs:
        raise error
    kind = EvidenceKind.UNRECOGNISED
    files = [file for role, file in exhibit.files if role not in {Role.COMPANION, Role.TEXT}]
    return Reading(
        kind=kind,
        description=kind.label,
        gaps=(*exhibit.gaps, *(Gap(file.name, 0, file.size, str(error)) for file in files)),
        unexamined=tuple(exhibit.unexamined),
        notes=tuple(exhibit.notes),
        kinds={file.name: kind.label for file in files},
    )
