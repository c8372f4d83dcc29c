"""What a training will cost, from a few steps of it on a sample of its rows, through the loop that would train."""

import time
from collections.abc import Mapping, Sequence
from typing import Final

from services.train.plan import Cost
from services.train.spec import JobSpec
from services.train.trainer.budget import training_count
from services.train.trainer.corpus import Corpus
from services.train.trainer.loop import evaluation_interval, fit
from services.train.trainer.memory import peak_memory_bytes
from services.train.trainer.network import Encoder
from services.train.trainer.pipeline import prepare
from shared.data.rows import SplitName
from shared.runtime.reader import EncodedText

_STEPS: Final = 8
_VALIDATION_ROWS: Final = 128


def probe(
    spec: JobSpec,
    corpus: Corpus,
    encoded: Mapping[SplitName, Sequence[EncodedText]],
    encoder: Encoder,
    pad_id: int,
) -> Cost:
    """Take some steps, which spoil the weights of `encoder`, and say what all of the training would take on this machine.

    `encoded` are the texts of train and validation.
    """
    chosen = spec.hyperparameters
    taken: dict[SplitName, list[int]] = {
        "train": _spread(encoded["train"], _STEPS * chosen.batch_size),
        "validation": _spread(encoded["validation"], _VALIDATION_ROWS),
    }
    sample = Corpus(
        corpus.task,
        corpus.labels,
        {split: [corpus.splits[split][i] for i in taken[split]] for split in taken},
    )
    read = {split: [encoded[split][i] for i in taken[split]] for split in taken}
    once = spec.model_copy(update={"hyperparameters": chosen.model_copy(update={"max_epochs": 1})})
    lesson = prepare(once, sample, read, encoder, pad_id)

    watch = _Watch()
    _, learner = lesson.begin(lambda _: None)
    begun_ms = watch.lap_ms()
    learner.evaluate()
    evaluated_ms = watch.lap_ms()
    for _ in fit(learner, once.hyperparameters, seed=spec.seed, now=time.monotonic):
        pass
    step_ms = max(0.0, watch.lap_ms() - evaluated_ms) / learner.steps_per_epoch

    steps_per_epoch = -(-sum(len(text.windows) for text in encoded["train"]) // chosen.batch_size)
    total_steps = chosen.max_epochs * steps_per_epoch
    evaluation_ms = evaluated_ms * _tokens(encoded["validation"]) / _tokens(read["validation"])
    everything, sampled = (sum(_tokens(each[split]) for split in taken) for each in (encoded, read))
    encoding_ms = 0.0 if spec.adaptable else begun_ms * everything / sampled
    evaluations = -(-total_steps // evaluation_interval(steps_per_epoch))
    training_ms = total_steps * step_ms + evaluations * evaluation_ms
    trainings = training_count(spec, training_ms)
    return Cost(
        total_steps=total_steps,
        step_ms=step_ms,
        evaluation_ms=evaluation_ms,
        encoding_ms=encoding_ms,
        training_count=trainings,
        duration_ms=int(trainings * training_ms + encoding_ms),
        peak_memory_bytes=peak_memory_bytes(),
    )


class _Watch:
    def __init__(self) -> None:
        self._at_s = time.monotonic()

    def lap_ms(self) -> float:
        before_s, self._at_s = self._at_s, time.monotonic()
        return 1000 * (self._at_s - before_s)


def _spread(texts: Sequence[EncodedText], count: int) -> list[int]:
    """Return so many indices at most, evenly over the lengths: short and long texts in the proportion of all."""
    by_length = sorted(range(len(texts)), key=lambda i: texts[i].token_count)
    if len(texts) <= count:
        return by_length
    return [by_length[int((k + 0.5) * len(texts) / count)] for k in range(count)]


def _tokens(texts: Sequence[EncodedText]) -> int:
    return sum(text.token_count for text in texts)
