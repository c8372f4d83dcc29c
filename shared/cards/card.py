"""Writes a model card: Markdown with the Hub's metadata at its head."""

import re
from typing import Final

from markupsafe import Markup

from shared.cards.beside import comparisons
from shared.cards.facts import facts_of
from shared.cards.front_matter import front_matter
from shared.cards.golden import golden_entries
from shared.cards.limits import TASK_WORDS, limits, purpose
from shared.cards.lineage import lineage, package_entries, spec_entries
from shared.cards.markup import markdown_templates
from shared.cards.wording import METRIC_WORDS, UNITS
from shared.store.manifest import Manifest

_MOST_CONFUSIONS: Final = 20
_MOST_TRIALS: Final = 10
_BLANK_LINES: Final = re.compile(r"\n{3,}")


def write_card(
    manifest: Manifest, *, with_texts: bool = False, usage: str | None = None, library: str | None = None
) -> str:
    """Return the card of a version.

    `with_texts` shows the golden examples, which are users' texts. `usage` is Markdown of ours that says how to load the files
    beside the card, and `library` what loads them.
    """
    facts = facts_of(manifest)
    card = (
        markdown_templates()
        .get_template("card.md.jinja")
        .render(
            manifest=manifest,
            facts=facts,
            evaluation=facts.evaluation,
            front_matter=Markup(front_matter(facts, library=library)),  # noqa: S704  # YAML, quoted by its writer
            task_words=TASK_WORDS[manifest.task],
            purpose=purpose(facts),
            limits=list(limits(facts)),
            usage=Markup(usage) if usage else None,  # noqa: S704  # ours
            metric_name=METRIC_WORDS.get(facts.metric, facts.metric),
            words=METRIC_WORDS,
            unit=UNITS[manifest.task],
            comparisons=comparisons(manifest),
            confusions=facts.confusions[:_MOST_CONFUSIONS],
            lineage=list(lineage(facts)),
            spec=spec_entries(facts),
            packages=package_entries(facts),
            trials=facts.best_trials[:_MOST_TRIALS],
            golden=golden_entries(manifest) if with_texts else (),
        )
    )
    return _BLANK_LINES.sub("\n\n", card)
