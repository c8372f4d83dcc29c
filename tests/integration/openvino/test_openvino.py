"""bf16 on the CPU through OpenVINO, as far as it is installed here: real sessions, over tiny graphs and a real encoder."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from structlog.testing import capture_logs

from services.infer.residency.lanes import Lanes
from services.infer.residency.loading import StoreLoader
from services.infer.residency.measuring import Measuring
from services.infer.residency.proving import prove
from services.train.catalogue import Catalogue
from shared.errors import ModelNotLoadableError
from shared.processor import multiplies_bfloat16
from shared.runtime import providers
from shared.runtime.execution import OPENVINO, Execution
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.runtime.probe import works
from shared.store.cache import FileCache
from shared.store.manifest import Manifest, Task, Variant
from shared.store.opening import open_store
from tests.integration.trainer.world import Workplace
from tests.tiny import FILLERS, NAMES, stored_file, tiny_manifest

BF16 = Execution("bf16", OPENVINO, runs=2)

if OPENVINO not in onnxruntime.get_available_providers():
    pytest.skip("ONNX Runtime has no OpenVINO here", allow_module_level=True)
if not multiplies_bfloat16():
    pytest.skip("the processor has no instruction for products of 16-bit floats", allow_module_level=True)


@pytest.mark.parametrize("task", ["classification", "entities"])
@pytest.mark.parametrize("frozen", [False, True])
def test_tiny_versions_decide_as_they_should(tmp_path: Path, task: Task, frozen: bool) -> None:
    """Whole graphs, and encoders whose heads run elsewhere; alone and in batches."""
    manifest, files = tiny_manifest(tmp_path, task, frozen=frozen)
    model, reference = (
        Model.load(manifest, Parts(lambda file: files[file.digest]), execution)
        for execution in (BF16, Execution())
    )
    model.check_golden()
    prove(model, reference)


def test_the_machine_multiplies_in_the_precision_that_is_asked_for() -> None:
    """fp32 is not rounded, bf16 is."""
    assert works(BF16)
    assert works(Execution("fp32", OPENVINO))


@pytest.mark.parametrize(
    "settings", [{"NOT_A_KEY": "1"}, {"NUM_STREAMS": "many"}, {"INFERENCE_PRECISION_HINT": "bf17"}]
)
def test_settings_that_openvino_does_not_take_are_found_out(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some it refuses; a precision that it does not know it passes over in silence."""
    monkeypatch.setattr(providers, "_openvino", lambda _: settings)
    assert not works(BF16)


@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_a_session_that_fell_back_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that are no JSON make ONNX Runtime leave OpenVINO out, and say so in a line of its log only."""
    monkeypatch.setattr(providers.json, "dumps", lambda _: "{no")
    manifest, files = tiny_manifest(tmp_path, "classification")
    with pytest.raises(ModelNotLoadableError):
        Model.load(manifest, Parts(lambda file: files[file.digest]), BF16)
    assert not works(BF16)


def test_a_graph_that_openvino_would_share_with_the_cpu_is_refused(tmp_path: Path) -> None:
    """One node that only ONNX Runtime has, and the session would be both providers', under OpenVINO's name."""
    manifest, files = tiny_manifest(tmp_path, "classification")
    path = tmp_path / "model.onnx"
    model = onnx.load(path)
    for node in model.graph.node:
        node.output[:] = ["before" if name == "logits" else name for name in node.output]
    model.graph.node.append(helper.make_node("Unique", ["before"], ["values", "", "places", ""]))
    model.graph.node.append(helper.make_node("Shape", ["before"], ["shape"]))
    model.graph.node.append(helper.make_node("Gather", ["values", "places"], ["flat"]))
    model.graph.node.append(helper.make_node("Reshape", ["flat", "shape"], ["logits"]))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, path)
    graph = manifest.variants["fp32"].graphs["model"].model_copy(update={"file": stored_file(path)})
    manifest = manifest.model_copy(update={"variants": {"fp32": Variant(graphs={"model": graph})}})
    files = files | {graph.file.digest: path}
    Model.load(manifest, Parts(lambda file: files[file.digest]))
    with pytest.raises(ModelNotLoadableError, match="cannot load a graph on OpenVINO"):
        Model.load(manifest, Parts(lambda file: files[file.digest]), BF16)


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> "Trained":
    """A frozen classifier and a frozen extractor on the real base."""
    workplace = Workplace(tmp_path_factory.mktemp("workplace"))
    base = Catalogue(None).find("all-minilm-l6-v2").folder
    return Trained(
        workplace,
        {
            task: workplace.train(workplace.assign(base, task, adaptable=False)).manifest
            for task in ("classification", "entities")
        },
    )


@dataclass(frozen=True, slots=True)
class Trained:
    """Versions in a store."""

    workplace: Workplace
    manifests: dict[Task, Manifest]

    def load(self, task: Task, execution: Execution) -> Model:
        """Load one of them."""
        return Model.load(self.manifests[task], Parts(self.cache.fetch), execution)

    @property
    def cache(self) -> FileCache:
        """Of the store's files."""
        return FileCache(open_store(str(self.workplace.root / "store")), self.workplace.root / "cache")


TEXTS = [f"{words} {NAMES[i % len(NAMES)].title()} please" for i, words in enumerate(FILLERS * 2)]


@pytest.mark.parametrize("task", ["classification", "entities"])
def test_a_real_encoder_is_proved_and_is_in_truth_bf16(minilm: Trained, task: Task) -> None:
    """Its logits are near fp32's and not the same."""
    model, reference = minilm.load(task, BF16), minilm.load(task, Execution())
    prove(model, reference)
    for text in model.encode(TEXTS):
        (computed,), (exact,) = model.run(text.windows), reference.run(text.windows)
        assert 1e-4 < np.abs(computed - exact).max() / np.abs(exact).max() < 0.03


def test_runs_at_once_answer_as_one_after_the_other(minilm: Trained) -> None:
    """More of them than there are streams."""
    model = minilm.load("classification", BF16)
    windows = [text.windows for text in model.encode(TEXTS)]
    expected = [model.run(each)[0] for each in windows]
    with ThreadPoolExecutor(6) as threads:
        for _ in range(3):
            for computed, before in zip(threads.map(model.run, windows), expected, strict=True):
                np.testing.assert_array_equal(computed[0], before)


def test_an_idle_session_burns_nothing(minilm: Trained) -> None:
    """Threads that wait do not spin."""
    model = minilm.load("classification", BF16)
    model.answer(TEXTS)
    before_s = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before_s < 0.05


@pytest.mark.parametrize("by_speed", [False, True])
def test_the_service_loads_what_it_says(minilm: Trained, by_speed: bool, tmp_path: Path) -> None:
    """The one that was chosen is served; of several the fastest, whichever that is here."""
    executions = (BF16, Execution("int8", runs=2), Execution("fp32", runs=2))
    measuring = Measuring(tmp_path / "costs", runs_at_once=1, batch_tokens=512)
    loader = StoreLoader(
        minilm.workplace.models,
        minilm.cache,
        Parts(minilm.cache.fetch),
        Lanes(measuring.costs),
        measuring,
        executions,
        by_speed,
        batch_tokens=512,
    )
    with capture_logs() as logs:
        model = loader.load(minilm.manifests["classification"].version).model
    assert model.execution in (executions if by_speed else [BF16])
    assert {each["event"] for each in logs} == {"costs_measured"}
    model.check_golden()
