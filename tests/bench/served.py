"""Both services as a benchmark uses them: rows in, a published version out, and its answers to many clients over gRPC."""

import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import grpc

from services.cli.up import running_services
from services.train.trainer.export import ExportedGraph
from services.train.trainer.quantising import quantise
from shared.data.rows import Span
from shared.runtime.execution import Execution, Precision
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.scoring.labels import NOTHING, score_classification, score_multi_label
from shared.scoring.spans import score_entities
from shared.store.cache import FileCache
from shared.store.evaluation import SplitEvaluation
from shared.store.manifest import Manifest, StoredFile, Variant, VariantName
from shared.store.opening import open_store
from shared.stubs.inference.v1 import inference_pb2, inference_pb2_grpc
from shared.stubs.registry.v1 import registry_pb2, registry_pb2_grpc
from shared.stubs.training.v1 import training_pb2, training_pb2_grpc
from tests.bench.data import Rows

CLIENTS = 16
_MOST_TEXTS_A_CALL = 32
_CHUNK_BYTES = 1 << 20
_PATIENCE_S = 900  # a server measures what batches cost before it answers, and the machine may be busy

Answer = str | frozenset[str] | list[Span]  # the best label, the labels that are given, or the spans


@contextmanager
def serving() -> Iterator["Served"]:
    """Run both services over an empty folder."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_services(Path(folder), train_port=0, infer_port=0) as services,
        grpc.insecure_channel(services.train_address) as train,
        grpc.insecure_channel(services.infer_address) as infer,
    ):
        yield Served(train, infer, Path(folder) / "store", services.infer_address)


class Served:
    """The services' three faces."""

    def __init__(self, train: grpc.Channel, infer: grpc.Channel, store: Path, infer_address: str) -> None:
        self._store = store
        self.infer_address = infer_address
        self._training = training_pb2_grpc.TrainingServiceStub(train)
        self._registry = registry_pb2_grpc.RegistryServiceStub(train)
        self._inference = inference_pb2_grpc.InferenceServiceStub(infer)

    def import_rows(
        self,
        name: str,
        task: int,
        files: Mapping[str, Sequence[Path] | Path],
        *,
        out_of_scope_label: str = "",
        columns: Sequence[str] = (),
    ) -> str:
        """Import the files of each split, and keep `columns` for scores by slice; return the snapshot's name."""

        def parts() -> Iterator[training_pb2.ImportDatasetRequest]:
            for split, path in (
                (split, path)
                for split, paths in files.items()
                for path in (paths if isinstance(paths, Sequence) else [paths])
            ):
                header = training_pb2.ImportFileHeader(
                    dataset=name,
                    file_name=path.name,
                    split=training_pb2.Split.Value(split.upper()),
                    task=task,
                    out_of_scope_label=out_of_scope_label,
                    columns=columns,
                )
                yield training_pb2.ImportDatasetRequest(header=header)
                data = path.read_bytes()
                for start in range(0, len(data), _CHUNK_BYTES):
                    yield training_pb2.ImportDatasetRequest(chunk=data[start : start + _CHUNK_BYTES])

        return self._training.ImportDataset(parts()).name

    def train(self, spec: training_pb2.TrainingSpec) -> Manifest:
        """Train and publish. Ends the benchmark if no version came of it."""
        job = self._training.CreateTrainingJob(training_pb2.CreateTrainingJobRequest(spec=spec))
        epoch = 0
        for job in self._training.WatchTrainingJob(training_pb2.WatchTrainingJobRequest(id=job.id)):  # noqa: B020  # the newest snapshot
            if job.progress.epoch != epoch:
                epoch = job.progress.epoch
                best = f"{job.progress.metric_name} {job.progress.best_metric:.4f}"
                print(f"  epoch {epoch}: best {best}", file=sys.stderr, flush=True)
        if job.state != training_pb2.TrainingJob.SUCCEEDED:
            sys.exit(f"the job ended {training_pb2.TrainingJob.State.Name(job.state)}: {job.error.message}")
        request = registry_pb2.GetModelVersionRequest(model_version=job.model_version)
        return Manifest.model_validate_json(self._registry.GetModelVersion(request).manifest_json)

    def ask(self, manifest: Manifest, texts: Sequence[str]) -> list[Answer]:
        """Send all texts from CLIENTS threads in calls of random sizes; answer i belongs to text i."""
        dice, calls, start = random.Random(13), [], 0  # noqa: S311  # sizes of calls, no secret
        while start < len(texts):
            size = dice.randint(1, _MOST_TEXTS_A_CALL)
            calls.append(texts[start : start + size])
            start += size
        self._wait_loaded(manifest)
        with ThreadPoolExecutor(CLIENTS) as pool:
            return [
                answer for part in pool.map(lambda call: self._call(manifest, call), calls) for answer in part
            ]

    def served_variant(self, manifest: Manifest) -> VariantName:
        """Whose graphs of a version that was asked have answered: bf16 runs those of fp32."""
        request = inference_pb2.GetLoadedModelRequest(model=str(manifest.version))
        precision = cast("Precision", self._inference.GetLoadedModel(request).variant)
        return Execution(precision).variant

    def load_variants(self, manifest: Manifest) -> dict[VariantName, Model]:
        """Load every variant into this process, on one thread each; an int8 that the gate left out is made again."""
        cache = FileCache(open_store(str(self._store)), self._store.parent / "bench-cache")
        with tempfile.TemporaryDirectory() as folder:
            exported = {
                role: ExportedGraph(cache.fetch(graph.file), graph.inputs, graph.outputs)
                for role, graph in manifest.variants["fp32"].graphs.items()
            }
            made = quantise(exported, Path(folder)).get("int8", {})
            described = {role: graph.described() for role, graph in made.items()}
            paths = {described[role].file.digest: graph.path for role, graph in made.items()}
            variants = dict(manifest.variants)
            if made:
                variants.setdefault("int8", Variant(graphs=described))
            whole = manifest.model_copy(update={"variants": variants})

            def open_file(file: StoredFile) -> Path:
                return paths.get(file.digest) or cache.fetch(file)

            parts = Parts(open_file)
            return {name: Model.load(whole, parts, Execution(name)) for name in variants}

    def _call(self, manifest: Manifest, texts: Sequence[str]) -> list[Answer]:
        version = str(manifest.version)
        if manifest.task == "entities":
            extract = inference_pb2.ExtractEntitiesRequest(model=version, texts=texts)
            entities = self._inference.ExtractEntities(extract, timeout=120).results
            return [[Span(e.start, e.end, e.label) for e in each.entities.entities] for each in entities]
        top_k = 1 if manifest.task == "classification" else 0  # all
        request = inference_pb2.ClassifyRequest(model=version, texts=texts, top_k=top_k)
        results = [
            each.classification.labels for each in self._inference.Classify(request, timeout=120).results
        ]
        if manifest.task == "classification":
            return [labels[0].label if labels[0].is_given else NOTHING for labels in results]
        return [frozenset(each.label for each in labels if each.is_given) for labels in results]

    def _wait_loaded(self, manifest: Manifest) -> None:
        for _ in range(_PATIENCE_S * 10):
            try:
                self._call(manifest, ["hello"])
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
            else:
                return
            time.sleep(0.1)
        sys.exit(f"{manifest.version} was not loaded within {_PATIENCE_S} s")


def score(manifest: Manifest, rows: Rows, answers: Sequence[Any]) -> SplitEvaluation:
    """Score the answers to `rows`; surfaces are not known here, so that every mention counts as unseen."""
    if manifest.task == "classification":
        return score_classification(rows.labels, answers, manifest.labels)
    if manifest.task == "multi-label":
        return score_multi_label(rows.label_sets, answers, manifest.labels)
    return score_entities(rows.entities or [], answers, manifest.labels, set(), rows.texts)
