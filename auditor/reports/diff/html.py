"""The comparison as one self-contained HTML file: no script, no network. Unchanged objects are counted, not listed."""

from typing import IO

from auditor.diff.compare import Comparison
from auditor.diff.rows import COLUMNS
from auditor.model.vocabulary import Severity
from auditor.reports.diff import words

VISIBLE = (
    *("severity", "finding", "form", "content", "resource", "namespace", "name"),
    *("before_provider", "before_key_name", "before_kek_id", "before_mod_revision"),
    *("after_provider", "after_key_name", "after_kek_id", "after_mod_revision", "detail"),
)
_CLASS = {0: "none", 1: "findings", 3: "inconclusive"}


def write(comparison: Comparison, fail_on: Severity, out: IO[str]) -> None:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import escape

    environment = Environment(
        loader=PackageLoader("auditor.reports.diff"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    objects = words.differences(comparison)
    safe = []
    for name in VISIBLE:  # escaped column by column: a template takes several times as long
        column = comparison.columns[name]
        texts = {cell: str(escape(cell)) for cell in set(column)}
        safe.append([texts[column[row]] for row in objects])
    out.writelines(
        environment.get_template("diff.html").stream(
            comparison=comparison,
            state=_CLASS[comparison.exit_code(fail_on)],
            verdict=words.verdict(comparison, fail_on),
            facts=[
                ("Before", words.side(comparison.before)),
                ("After", words.side(comparison.after)),
                ("Cluster", words.cluster(comparison)),
                ("Policy of AFTER", comparison.after.policy),
                ("Run", f"etcd-auditor {comparison.after.run.version}, {comparison.after.run.started}"),
            ],
            tables=[words.forms(comparison), words.keys(comparison), words.leftover_table(comparison)],
            unexamined=words.unexamined(comparison),
            notes=words.notes(comparison),
            shown=VISIBLE,
            meaning=COLUMNS,
            total=sum(comparison.objects.values()),
            listed=len(objects),
            rows=zip(*safe, strict=True),
        )
    )
