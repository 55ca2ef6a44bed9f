"""What the values of an exhibit are judged and opened with: configurations, those beside it, keys from elsewhere."""

from typing import TYPE_CHECKING

from auditor.evidence.exhibit import Exhibit
from auditor.judgement import unwrapping
from auditor.judgement.criteria import Criteria, prepare, with_published
from auditor.judgement.selection import Selection
from auditor.kubernetes.store import Store
from auditor.options import Options
from auditor.run_log import RunLog

if TYPE_CHECKING:
    from auditor.encryption.kms.client import Client
    from auditor.hunt.companion_configs import CompanionConfigs


def criteria(
    files: Exhibit, options: Options, clients: "tuple[Client, ...] | None"
) -> "tuple[Criteria, CompanionConfigs | None]":
    """What is judged with, and the configurations that came with the evidence; None where no file did."""
    if not files.companions:
        return prepare(options, clients=clients), None
    from auditor.hunt import companion_configs

    configs = companion_configs.read(files.companions)
    used, older = (configs.configurations, configs.older) if options.use_found_config else ((), ())
    return prepare(options, used, older, clients), configs


def supplied(criteria: Criteria, selections: list[Selection], store: Store, options: Options, log: RunLog) -> Criteria:
    """The criteria with published keys that open values, those of other objects, and the data keys of --kms."""
    published = criteria if options.quick else with_published(criteria, selections)
    if options.neighbours or options.neighbour_keys:
        from auditor.hunt import neighbours

        published = neighbours.added(published, selections, store, options.neighbours, options.neighbour_keys)
    return unwrapping.unwrap(selections, published, options, log)
