"""What a run meets outside the values that it judges: copies, keys, and credentials of KMS plugins."""

from auditor.arrays.buffer import Buffer
from auditor.audit import plugin_pods
from auditor.audit.judgement import Judgement
from auditor.evidence import exhibit
from auditor.evidence.layout import Layout
from auditor.hunt.hit import NOTHING, HuntResult
from auditor.options import Options

TEXTS = {exhibit.Role.TEXT, exhibit.Role.COMPANION}
"""What is searched beside the store."""


def hunted(files: exhibit.Exhibit, judgement: Judgement, options: Options) -> HuntResult:
    """The hits of --hunt and of companion files, and those of the KMS plugins' Pods."""
    # several exhibits may have come with one file, which is reported with the first
    configs = judgement.companion_configs if files.of(exhibit.Role.COMPANION) else None
    store, criteria, layout = judgement.store, judgement.criteria, Layout.of(files, judgement.reading.pages)
    result = NOTHING
    if options.hunt or configs is not None:
        from auditor.hunt import hunt as hunting

        searched = hunting.SearchedEvidence(
            options=options,
            criteria=criteria,
            selections=judgement.selections,
            rest=judgement.unjudged,
            store=store,
            layout=layout,
            texts={file.name: Buffer(file.map) for role, file in files.files if role in TEXTS},
        )
        result = hunting.hunt(searched, configs)
    return plugin_pods.add(result, store, judgement.reading, criteria.keyring, layout)
