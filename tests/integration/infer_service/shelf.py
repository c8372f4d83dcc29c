"""A folder store with tiny versions on it: good ones, heavy ones, and ones that are bad in each way that the service must bear."""

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from tokenizers import AddedToken, Tokenizer

from shared.names import VersionName
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.store.manifest import Manifest, Task, Variant
from shared.store.models import ModelStore
from shared.store.opening import open_store
from shared.store.records import seal, unseal
from tests.tiny import publish_tiny, stored_file, tiny_encoder, tiny_manifest

_JOB = "job-0000000000000000"
POISON = "kaboom"  # a word whose token the graph of a `poisoned` version cannot look up


class Shelf:
    """Publishes versions and moves aliases, as the training service would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "store"
        self.models = ModelStore(open_store(str(self.folder)))
        self._scratch = (folder / f"scratch-{number}" for number in itertools.count())

    def good(
        self,
        model: str,
        task: Task,
        *,
        labels: Sequence[str] = (),
        seed: int = 0,
        alias: str | None = "production",
    ) -> VersionName:
        """A tiny version; the seed shifts its answers."""
        version = publish_tiny(self.models, model, task, labels, seed=seed, scratch=next(self._scratch))
        if alias:
            self.point(version, alias)
        return version

    def frozen(self, model: str, task: Task, labels: Sequence[str]) -> VersionName:
        """A head on the one encoder that all versions made so share, of whatever task: one that knows names and surnames."""
        version, folder = self.models.reserve(model, _JOB), next(self._scratch)
        manifest, paths = tiny_manifest(
            folder, task, labels, model=model, number=version.number, job_id=_JOB, frozen=True
        )
        encoder = tiny_encoder(folder / "names_encoder.onnx", "entities")
        variant = Variant(graphs={**manifest.variants["fp32"].graphs, "encoder": encoder})
        for path in (*paths.values(), folder / "names_encoder.onnx"):
            self.models.put_file(path)
        # Golden examples of classifiers ask about topics, which this encoder does not know.
        golden = manifest.golden_examples if task == "entities" else ()
        self.models.publish(
            manifest.model_copy(update={"variants": {"fp32": variant}, "golden_examples": golden})
        )
        self.point(version)
        return version

    def rejected(self, model: str, task: Task) -> VersionName:
        """A version that its gate refused."""
        return publish_tiny(self.models, model, task, state="rejected", scratch=next(self._scratch))

    def poisoned(self, model: str) -> VersionName:
        """A classifier whose run fails for any batch with the word POISON in it."""

        def add_word(paths: dict[str, Path]) -> None:
            tokenizer = Tokenizer.from_file(str(paths["tokenizer"]))
            tokenizer.add_tokens([AddedToken(POISON, single_word=True)])  # its id is beyond the embedding
            tokenizer.save(str(paths["tokenizer"]))

        return self._altered(model, "classification", add_word)

    def heavy(self, model: str, *, seed: int, rows: int) -> VersionName:
        """A classifier with `rows` more rows of 48 bytes in its embedding, different in each version."""

        def grow(paths: dict[str, Path]) -> None:
            graph = onnx.load(paths["model"])
            embedding = next(each for each in graph.graph.initializer if each.name == "embedding")
            array = numpy_helper.to_array(embedding)
            more = np.random.default_rng(seed).normal(size=(rows, array.shape[1])).astype(np.float32)
            embedding.CopyFrom(numpy_helper.from_array(np.concatenate([array, more]), "embedding"))
            onnx.save(graph, paths["model"])

        return self._altered(model, "classification", grow, seed=seed)

    def wrong_golden(self, model: str) -> VersionName:
        """A version that does not answer as its manifest says."""

        def lie(manifest: Manifest) -> Manifest:
            example = manifest.golden_examples[0]
            other = next(label for label in manifest.labels if label != example.label)
            examples = (example.model_copy(update={"label": other}), *manifest.golden_examples[1:])
            return manifest.model_copy(update={"golden_examples": examples})

        return self._altered(model, "classification", change_manifest=lie)

    def newer_schema(self, model: str) -> VersionName:
        """A version that a later Tagsmith has published."""
        version = self.good(model, "classification", alias=None)
        path = self._manifest_path(version)
        path.chmod(0o644)
        record = json.loads(unseal(path.name, path.read_bytes()))
        path.write_bytes(seal(json.dumps({**record, "schema_version": 9}).encode()))
        return version

    def missing_blob(self, model: str) -> VersionName:
        """A version whose graph somebody has deleted."""
        version = self.heavy(model, seed=77, rows=1)
        self._graph_path(version).unlink()
        return version

    def corrupt_blob(self, model: str) -> VersionName:
        """A version whose graph is cut short."""
        version = self.heavy(model, seed=78, rows=1)
        path = self._graph_path(version)
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-100])
        return version

    def tampered_blob(self, model: str) -> VersionName:
        """A version whose graph is a valid other one: of the right form, not of the right digest."""
        version = self.heavy(model, seed=79, rows=1)
        other = self.heavy("decoy", seed=80, rows=1)
        path = self._graph_path(version)
        path.chmod(0o644)
        path.write_bytes(self._graph_path(other).read_bytes())
        return version

    def point(self, version: VersionName, alias: str = "production") -> None:
        """Move an alias, as SetAlias does."""
        self.models.set_alias(
            version.model, alias, version.number, expected=None, actor="test", reason="test"
        )

    def force(self, version: VersionName, alias: str = "production") -> None:
        """Move an alias to what set_alias would refuse: the version turned bad after the move."""
        number = len(self.models.alias_history(version.model, alias)) + 1
        newest = self.models.alias(version.model, alias)
        record = newest.model_copy(
            update={"sequence": number, "previous": newest.version, "version": version.number}
        )
        path = self.folder / "models" / version.model / "aliases" / alias / f"{number:08}.json"
        path.write_bytes(seal(record.model_dump_json().encode()))

    def model(self, version: VersionName) -> Model:
        """The version, loaded here: the unbatched truth."""
        return Model.load(self.models.manifest(version), Parts(lambda file: self._blob_path(file.digest)))

    def _altered(
        self,
        model: str,
        task: Task,
        change_files: Callable[[dict[str, Path]], None] = lambda _: None,
        change_manifest: Callable[[Manifest], Manifest] = lambda manifest: manifest,
        *,
        seed: int = 0,
    ) -> VersionName:
        version = self.models.reserve(model, _JOB)
        folder = next(self._scratch)
        manifest, _ = tiny_manifest(folder, task, model=model, number=version.number, job_id=_JOB, seed=seed)
        paths = {"model": folder / "model.onnx", "tokenizer": folder / "tokenizer.json"}
        change_files(paths)
        for path in paths.values():
            self.models.put_file(path)
        variant = manifest.variants["fp32"]
        graph = variant.graphs["model"].model_copy(update={"file": stored_file(paths["model"])})
        manifest = manifest.model_copy(
            update={
                "tokenization": manifest.tokenization.model_copy(
                    update={"file": stored_file(paths["tokenizer"])}
                ),
                "variants": {"fp32": variant.model_copy(update={"graphs": {"model": graph}})},
            }
        )
        self.models.publish(change_manifest(manifest))
        return version

    def _manifest_path(self, version: VersionName) -> Path:
        return self.folder / "models" / version.model / "versions" / f"{version.number:07}" / "manifest.json"

    def _graph_path(self, version: VersionName) -> Path:
        variant = self.models.manifest(version).variants["fp32"]
        return self._blob_path(variant.graphs["model"].file.digest)

    def _blob_path(self, digest: str) -> Path:
        return self.folder / "blobs" / "sha256" / digest[:2] / digest
