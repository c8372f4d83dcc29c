"""Writes a report: one HTML file with plots and tables, without a script or anything that lies elsewhere."""

from typing import Final

from shared.cards.beside import comparisons
from shared.cards.facts import facts_of
from shared.cards.golden import golden_entries
from shared.cards.grid import confusion_grid
from shared.cards.limits import TASK_WORDS, limits, purpose
from shared.cards.lineage import lineage, package_entries, spec_entries
from shared.cards.markup import html_templates
from shared.cards.plots import (
    column_plot,
    confusions_plot,
    curve_plot,
    labels_plot,
    reliability_plot,
)
from shared.cards.wording import METRIC_WORDS, UNITS
from shared.store.manifest import Manifest

_MOST_CONFUSIONS: Final = 50
_MOST_ERRORS: Final = 50


def write_report(manifest: Manifest, *, with_texts: bool = False) -> str:
    """Return the report of a version; `with_texts` shows the golden examples, which are users' texts."""
    facts = facts_of(manifest)
    return (
        html_templates()
        .get_template("report.html.jinja")
        .render(
            manifest=manifest,
            facts=facts,
            evaluation=facts.evaluation,
            task_words=TASK_WORDS[manifest.task],
            purpose=purpose(facts),
            limits=list(limits(facts)),
            metric_name=METRIC_WORDS.get(facts.metric, facts.metric),
            words=METRIC_WORDS,
            unit=UNITS[manifest.task],
            curve=curve_plot(manifest.training_curve),
            comparisons=comparisons(manifest),
            reliability=reliability_plot(facts),
            columns=[(column, column_plot(column, number)) for number, column in enumerate(facts.columns)],
            grid=confusion_grid(facts),
            confusions=facts.confusions[:_MOST_CONFUSIONS],
            confusions_plot=confusions_plot(facts),
            labels_plot=labels_plot(facts),
            errors=facts.evaluation.errors[:_MOST_ERRORS] if facts.evaluation else (),
            lineage=list(lineage(facts)),
            spec=spec_entries(facts),
            packages=package_entries(facts),
            golden=golden_entries(manifest) if with_texts else (),
        )
    )
