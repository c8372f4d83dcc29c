"""What an execution that no gate has seen must prove; the one that is judged here is the CPU's, with its logits altered."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from services.infer.residency.proving import prove
from shared.errors import ModelNotLoadableError
from shared.runtime.classification import Logits
from shared.runtime.execution import OPENVINO, Execution
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.runtime.windows import Window
from shared.store.manifest import Manifest, Task
from tests.tiny import tiny_manifest

Alteration = Callable[[Logits, int], Logits]  # of a window's logits, in a batch of so many


class Altered(Model):
    """A model whose logits are not the network's."""

    alteration: Alteration

    def run(self, windows: Sequence[Window]) -> list[Logits]:
        return [self.alteration(each.copy(), len(windows)) for each in super().run(windows)]


def judge(folder: Path, task: Task, alteration: Alteration, **changes: object) -> None:
    """Prove a version whose logits are altered; `changes` are of its manifest."""
    manifest, files = tiny_manifest(folder, task)
    manifest = Manifest.model_validate({**dict(manifest), **changes})
    reference = Model.load(manifest, Parts(lambda file: files[file.digest]))
    Altered.alteration = staticmethod(alteration)
    model = Altered.load(manifest, Parts(lambda file: files[file.digest]))
    model.execution = Execution("bf16", OPENVINO)
    prove(model, reference)


def moved(share: float, *, in_batches_only: bool = False) -> Alteration:
    """Every logit is moved by a share of the largest."""
    return lambda logits, count: (
        logits if in_batches_only and count == 1 else logits + share * np.abs(logits).max()
    )


def swapped(logits: Logits, count: int) -> Logits:
    """Other outputs win, by as little as they can."""
    return logits[..., ::-1]


@pytest.mark.parametrize("task", ["classification", "entities"])
@pytest.mark.parametrize("alteration", [moved(0), moved(0.02), moved(0.01, in_batches_only=True)])
def test_what_rounds_as_bf16_does_is_let_through(tmp_path: Path, task: Task, alteration: Alteration) -> None:
    """Other logits than fp32's, within what 8 bits explain."""
    judge(tmp_path, task, alteration)


@pytest.mark.parametrize("task", ["classification", "entities"])
@pytest.mark.parametrize(
    ("alteration", "cause"),
    [
        (moved(0.05), "logits differ to fp32 on the CPU provider by 5.0e-02 of the largest"),
        (moved(0.02, in_batches_only=True), "logits differ among batch-mates by 2.0e-02 of the largest"),
        (moved(np.nan), "differ to fp32|decides golden texts otherwise"),
        (swapped, "decides golden texts otherwise"),
        (lambda logits, count: logits if count == 1 else logits[..., ::-1], "decides golden texts otherwise"),
    ],
)
def test_what_computes_something_else_is_not(
    tmp_path: Path, task: Task, alteration: Alteration, cause: str
) -> None:
    """Whether alone or only among batch-mates."""
    with pytest.raises(ModelNotLoadableError, match=cause):
        judge(tmp_path, task, alteration)


def test_without_golden_examples_nothing_is_proved(tmp_path: Path) -> None:
    """Nobody knows what it should answer."""
    with pytest.raises(ModelNotLoadableError, match="no golden examples"):
        judge(tmp_path, "classification", moved(0), golden_examples=())
