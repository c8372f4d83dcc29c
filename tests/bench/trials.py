"""Techniques that are tried and are no part of a recipe: each would have to be worth 0.3 points to become one."""

import time
from collections.abc import Callable, Sequence
from typing import Final

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional

from services.train.trainer.features import compute_features, vectors_of
from services.train.trainer.learners import FineTuning
from services.train.trainer.loop import fit
from services.train.trainer.network import LinearHead, Network, reading_of
from services.train.trainer.objective import Objective
from services.train.trainer.teaching import Lesson

_R_DROP_ALPHA: Final = 1.0
_FOCAL_GAMMA: Final = 2.0


class _RDrop(FineTuning):
    """Two passes with their own dropout, held together by the divergence between what they say (arXiv:2106.14448)."""

    def loss(self, part: Sequence[int], *, batch: Sequence[int]) -> Tensor:
        """See Learner."""
        examples = [self.examples[i] for i in [*part, *part]]
        vectors = vectors_of(self.network.encoder, self.network.reading, examples, self.pad_id)
        one, other = self.network.head.head(vectors).chunk(2)
        entropy = (self._loss(one, part, batch) + self._loss(other, part, batch)) / 2
        log_one, log_other = one.log_softmax(dim=-1), other.log_softmax(dim=-1)
        divergence = functional.kl_div(log_one, log_other, log_target=True, reduction="batchmean")
        divergence = divergence + functional.kl_div(
            log_other, log_one, log_target=True, reduction="batchmean"
        )
        return entropy + _R_DROP_ALPHA * divergence / 2


class _FocalObjective(Objective):
    """Targets that are right already count less (arXiv:1708.02002)."""

    def loss(self, logits: Tensor, examples: Sequence[object], *, target_count: int) -> Tensor:
        """See Objective."""
        targets = torch.tensor([int(example.targets[0]) for example in examples])  # type: ignore[attr-defined]
        losses = functional.cross_entropy(logits, targets, reduction="none")
        return ((1 - (-losses).exp()) ** _FOCAL_GAMMA * losses).sum() / target_count


def _teach(
    lesson: Lesson,
    learner: type[FineTuning],
    objective: type[Objective],
    begin: Callable[[Network], Network] = lambda network: network,
) -> Network:
    chosen = lesson.spec.hyperparameters
    head = LinearHead(lesson.encoder.width, lesson.output_count, dropout=chosen.dropout)
    network = begin(Network(lesson.encoder, head, reading_of(lesson.task, lesson.spec)))
    taught = learner(
        examples=lesson.train,
        objective=objective(lesson.train, lesson.output_count, chosen),
        validation=lesson.validation,
        hyperparameters=chosen,
        network=network,
        pad_id=lesson.pad_id,
    )
    for _ in fit(taught, chosen, seed=lesson.spec.seed, now=time.monotonic):
        pass
    return network


def _from_probe(lesson: Lesson) -> Network:
    """The head begins as a linear probe of the encoder as it is, so that the first steps do not bend good features (arXiv:2202.10054)."""
    features = compute_features(
        lesson.encoder, reading_of(lesson.task, lesson.spec), lesson.train, lesson.pad_id
    )
    targets = [int(example.targets[0]) for example in lesson.train]
    probe = LogisticRegression(C=10.0, max_iter=3000).fit(features.vectors.numpy(), targets)

    def begun(network: Network) -> Network:
        linear = network.head.head.layers[1]
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(probe.coef_))
            linear.bias.copy_(torch.from_numpy(probe.intercept_))
        return network

    return _teach(lesson, FineTuning, Objective, begin=begun)


TRIALS: Final[dict[str, Callable[[Lesson], Network]]] = {
    "r-drop": lambda lesson: _teach(lesson, _RDrop, Objective),
    "probe": _from_probe,
    "focal": lambda lesson: _teach(lesson, FineTuning, _FocalObjective),
}
