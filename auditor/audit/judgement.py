"""The judgement: evidence read, opened and judged. Counting and reporting start from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from auditor.arrays.dtypes import Bools
from auditor.audit.media import NO_SWEEPS, Sweeps
from auditor.audit.triage import TriageInputs
from auditor.evidence.reading import Reading
from auditor.judgement.criteria import Criteria
from auditor.judgement.leftovers import Standard
from auditor.judgement.selection import Selection
from auditor.kubernetes.store import Store
from auditor.model.evidence import Cluster, CurrentReference

if TYPE_CHECKING:
    from auditor.hunt.companion_configs import CompanionConfigs


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Evidence read, opened and judged, before anything is counted: what examine() and a comparison start from."""

    criteria: Criteria
    """What the values are opened and judged with, the keys that the evidence itself holds included."""
    triage: TriageInputs
    """What the options say of reports."""
    reading: Reading
    store: Store
    in_scope: Bools
    """Which of the store's resources are judged, shape (len(store.resources),)."""
    cluster: Cluster
    selections: list[Selection]
    """The values of the judged resources, one selection for each source and buffer."""
    unjudged: list[Selection]
    """The values of all others, where a hunt searches them too."""
    sweeps: Sweeps = NO_SWEEPS
    """Searches of the same files that know nothing of the readers."""
    repeat: Callable[[Reading], "Judgement"] | None = None
    """The same judgement of another reading of the same exhibit."""
    current: CurrentReference | None = None
    """The newer evidence that decides what is current; None where this evidence does."""
    standard: Standard | None = None
    """What leftovers are compared with, of that newer evidence; None without it."""
    companion_configs: "CompanionConfigs | None" = None
    """Configurations in files that came with the evidence; None where no file did."""

    @property
    def resources(self) -> frozenset[str]:
        """The names of the judged resources."""
        return frozenset(self.store.resources[code].name for code in np.flatnonzero(self.in_scope).tolist())


JudgementListener: TypeAlias = Callable[[Judgement], None]
"""Called with the judgement of each exhibit, while its files are open."""
