"""What an expert would say of a spec, from what is known of its rows and its cost. Pure.

Each rule stands on something measured: the curves by rows a label, and the tables of accuracy and of languages in the README.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final

from services.train.catalogue import BaseModelEntry
from services.train.plan import Advice, Report
from services.train.spec import FROM_SCRATCH, JobSpec

ROWS_FOR_SCRATCH: Final = (
    300  # a label: where a network from scratch meets the frozen encoder on the plainer data set
)
ROWS_FOR_ALL_WEIGHTS: Final = 2000  # a label; with fewer, neither switch was measured to be better everywhere
_OF_PARENT: Final = frozenset({"recipe", "adaptable", "base_model"})  # a training that goes on keeps them
_LONG_TRAINING: Final = timedelta(minutes=30)
_FOREIGN: Final = 0.05  # share of rows in languages that the base does not claim
_UNKNOWN: Final = 0.05  # share of tokens
_LONG_ROWS: Final = 0.1  # share of rows of several windows


def advise(
    spec: JobSpec,
    report: Report,
    *,
    rows_per_label: float,
    base: BaseModelEntry | None,
    bases: Sequence[BaseModelEntry],
) -> list[Advice]:
    """Return what to change, what matters most first; `bases` are all that the catalogue knows, `base` the spec's."""
    given = [
        *_start(spec, rows_per_label),
        *_languages(report, base, bases),
        *_vocabulary(report, base),
        *_windows(spec, report, base),
        *_weights(spec, report, rows_per_label),
    ]
    return [each for each in given if spec.continues is None or each.field not in _OF_PARENT]


def _start(spec: JobSpec, rows_per_label: float) -> Iterator[Advice]:
    if spec.recipe in FROM_SCRATCH and rows_per_label < ROWS_FOR_SCRATCH:
        yield Advice(
            field="recipe",
            value="transformer-classifier",
            reason=f"there are {rows_per_label:.0f} train rows a label: a network from scratch was behind a frozen encoder up to some"
            f" {ROWS_FOR_SCRATCH}, far behind with 20",
        )


def _languages(
    report: Report, base: BaseModelEntry | None, bases: Sequence[BaseModelEntry]
) -> Iterator[Advice]:
    """Name a base that reads every language of the rows, also those that the spec's base reads: it would take that one's place."""
    shares = report.texts.language_shares
    if base is None or not base.languages or _reads(base, shares):
        return
    foreign = [language for language in shares if language not in base.languages]
    share = sum(shares[language] for language in foreign)
    able = [each for each in bases if _reads(each, shares)]
    best = next((each for each in able if each.folder is not None), None) or next(iter(able), None)
    if share >= _FOREIGN and best is not None:
        there = "" if best.folder is not None else f"; `tagsmith base add {best.source}` fetches it"
        yield Advice(
            field="base_model",
            value=best.id,
            reason=f"{share:.0%} of the rows are in {', '.join(sorted(foreign))}, and {base.id} is for"
            f" {', '.join(base.languages)}{there}",
        )


def _reads(base: BaseModelEntry, languages: Iterable[str]) -> bool:
    return "mul" in base.languages or set(languages) <= set(base.languages)


def _vocabulary(report: Report, base: BaseModelEntry | None) -> Iterator[Advice]:
    share = report.texts.unknown_token_share
    if base is not None and share > _UNKNOWN and base.tokenizer_family == "WordPiece":
        yield Advice(
            field="base_model",
            value="one whose tokenizer is BPE or Unigram",
            reason=f"{share:.0%} of the tokens are unknown to {base.id}: they are all one to the model",
        )


def _windows(spec: JobSpec, report: Report, base: BaseModelEntry | None) -> Iterator[Advice]:
    texts, chosen = report.texts, spec.hyperparameters
    longest = base.max_tokens if base else chosen.max_tokens
    if texts.long_row_count > _LONG_ROWS * texts.row_count and chosen.max_tokens < longest:
        wanted = min(longest, max(texts.p95_tokens, chosen.max_tokens))
        if wanted > chosen.max_tokens:
            better = "nearly all of them whole" if wanted >= texts.p95_tokens else "them in fewer pieces"
            yield Advice(
                field="hyperparameters.max_tokens",
                value=str(wanted),
                reason=f"{texts.long_row_count} of {texts.row_count} texts are longer than {chosen.max_tokens} tokens and are read in"
                f" pieces; windows of {wanted} read {better}, at a higher cost a window",
            )


def _weights(spec: JobSpec, report: Report, rows_per_label: float) -> Iterator[Advice]:
    """Whether all weights are worth their time: by rows a label for one label a text alone, since nothing of others was measured."""
    if spec.recipe in FROM_SCRATCH or spec.task == "entities":
        return
    cost = report.cost  # of all trainings of a search, which do not make one long
    duration = timedelta(milliseconds=cost.duration_ms / cost.training_count) if cost else timedelta()
    if not spec.adaptable:
        if spec.task == "classification" and rows_per_label >= ROWS_FOR_ALL_WEIGHTS:
            yield Advice(
                field="adaptable",
                value="true",
                reason=f"there are {rows_per_label:.0f} train rows a label: with some 2,300 (xSID) all weights reached 99.4 % where a head alone reached 97.8",
            )
    elif duration > _LONG_TRAINING:
        yield Advice(
            field="adaptable",
            value="false",
            reason=f"training all weights takes up to {_in_words(duration)} on this machine; a head alone takes a fraction of that, and is a"
            " baseline worth having",
        )


def _in_words(duration: timedelta) -> str:
    minutes = round(duration.total_seconds() / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.0f} hours"
