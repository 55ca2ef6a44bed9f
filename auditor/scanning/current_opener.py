"""The evidence of --current: opened beside the audited one for as long as its values are compared."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from auditor.observer import Calls
from auditor.options import Options
from auditor.run_log import RunLog
from auditor.scanning.exhibit import single

if TYPE_CHECKING:
    from auditor.audit.current_evidence import Judge
    from auditor.encryption.kms.client import Client
    from auditor.evidence.live.access import Access


@contextmanager
def opened(
    options: Options, access: "Access | None", log: RunLog, clients: "tuple[Client, ...]" = ()
) -> "Iterator[Judge | None]":
    """What judges the evidence that options.current names; None where it names none.

    Args:
        options: Of the run.
        access: How to reach it where it is a live etcd.
        log: Of the run.
        clients: Those of --kms, which the audited evidence shares.

    Raises:
        UnreadableEvidence: It cannot be read.
        UsageError: It holds several exhibits.
    """
    if not options.current:
        yield None
        return
    own = Options(
        resources=options.resources,
        storage_prefixes=options.storage_prefixes,
        encryption_configs=options.current_configs or options.encryption_configs,
        kms_plugins=options.kms_plugins,
        kms=options.kms,
        kms_budget=options.kms_budget,
        kms_confirmed=options.kms_confirmed,
        work_dir=options.work_dir,
        max_unpacked=options.max_unpacked,
        max_ratio=options.max_ratio,
        quick=True,
        rows=False,
        rotation=options.rotation,
    )
    with single(options.current, own, log, access) as exhibit:
        from auditor.audit.current_evidence import CurrentEvidence
        from auditor.audit.examine import judge  # numpy takes time

        @cache
        def judged(also: frozenset[str]) -> CurrentEvidence:
            judgement = judge(exhibit, own, RunLog(Calls(log)), also, clients=clients)
            log.step(f"read and decrypted what is current in {exhibit.name}")
            return CurrentEvidence(
                name=exhibit.name,
                reading=judgement.reading,
                cluster=judgement.cluster,
                selections=judgement.selections,
            )

        yield judged
