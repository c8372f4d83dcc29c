"""What is measured, made once: MiniLM classifiers of BANKING77, published by the real training service, and the corpora of texts.

The weights do not matter for speed: one pass over the train rows is enough.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.errors import ModelNotFoundError
from shared.names import VersionName
from shared.store import layout
from shared.store.manifest import Manifest, StoredFile, VariantName
from shared.store.models import ModelStore
from shared.store.opening import open_store
from tests.bench.data import data_file
from tests.bench.serving.texts import DATASET, write_corpora

FOLDER: Final = Path(__file__).parents[3] / "var" / "bench-serving"
ADAPTABLE, FROZEN = "adaptable", "frozen"
_IS_ADAPTABLE: Final = {ADAPTABLE: True, FROZEN: False}
_SPLITS: Final = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Prepared:
    """Where everything lies."""

    folder: Path
    corpora: dict[str, Path]

    @property
    def store(self) -> Path:
        """The folder store."""
        return self.folder / "data" / "store"

    @property
    def models(self) -> ModelStore:
        """The store, to publish to and to move aliases in."""
        return ModelStore(open_store(str(self.store)))

    def manifest(self, model: str, number: int = 1) -> Manifest:
        """Return the manifest of a version."""
        return self.models.manifest(VersionName(model, number))

    def has(self, variant: VariantName) -> bool:
        """Whether both models have a variant: int8 is made, and passes its gate, only where the processor is made for it."""
        return all(variant in self.manifest(model).variants for model in _IS_ADAPTABLE)

    def path(self, file: StoredFile) -> Path:
        """Return where a stored file lies."""
        return self.store / layout.blob(file.digest)

    def graph(self, manifest: Manifest, variant: VariantName) -> Path:
        """Return the whole graph of a variant of an adaptable version."""
        return self.path(manifest.variants[variant].graphs["model"].file)


def prepare(folder: Path) -> Prepared:
    """Train what is not there yet and write the corpora. Ends the benchmark in clear words where there is no data."""
    for split in _SPLITS:
        data_file(DATASET, split)
    prepared = Prepared(folder, {})
    missing = [model for model in _IS_ADAPTABLE if not _has(prepared.models, model)]
    if missing:
        _train(folder / "data", missing)
    tokenizer = prepared.path(prepared.manifest(ADAPTABLE).tokenization.file)
    return Prepared(folder, write_corpora(folder, tokenizer))


def _has(models: ModelStore, model: str) -> bool:
    try:
        return bool(models.versions(model))
    except ModelNotFoundError:
        return False


def _train(folder: Path, models: list[str]) -> None:
    # Here, because they bring torch along, which nothing that is measured should share a process with.
    import grpc

    from services.cli.up import running_services
    from shared.stubs.training.v1 import training_pb2
    from tests.bench.served import Served

    with (
        running_services(folder, train_port=0, infer_port=0) as services,
        grpc.insecure_channel(services.train_address) as train,
        grpc.insecure_channel(services.infer_address) as infer,
    ):
        served = Served(train, infer, folder / "store", services.infer_address)
        files = {split: data_file(DATASET, split) for split in _SPLITS}
        dataset = served.import_rows(DATASET, training_pb2.CLASSIFICATION, files)
        for model in models:
            print(f"training {model}, once", flush=True)
            served.train(
                training_pb2.TrainingSpec(
                    model=model,
                    dataset=dataset,
                    adaptable=_IS_ADAPTABLE[model],
                    hyperparameters=training_pb2.Hyperparameters(max_epochs=1),
                )
            )
