"""A version in memory: texts in, answers out. The gate accepts, and the inference service answers, through this one class.

Invariant: an answer depends on the text and the manifest alone, never on batch-mates, padding or order.
Concurrency: every method may be called from any threads at once. Calls that run when `close` is called end well.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from shared.errors import ModelNotLoadableError, TaskMismatchError
from shared.runtime.batches import batch_by_length, pad
from shared.runtime.classification import LabelScore, Logits, pool_windows, rank_label_set, rank_labels
from shared.runtime.entities import EntitySpan, extract_spans
from shared.runtime.execution import Execution
from shared.runtime.network import Network, Pass, load_network
from shared.runtime.parts import Parts
from shared.runtime.reader import EncodedText, TextReader
from shared.runtime.session import GraphSession
from shared.runtime.windows import Window
from shared.store.manifest import EntitiesDecoding, GoldenExample, Manifest, MultiLabelDecoding

__all__ = ["Decision", "EncodedText", "Model"]  # what a Model takes and gives is found beside it

Decision = frozenset[str] | frozenset[tuple[int, int, str]]  # the labels that are given, or the spans

_GOLDEN_BATCH_TOKENS = 512
_TEXTS_AT_ONCE = 512  # of Model.answer: bounds the logits that wait for their text's other windows


class Model:
    """A loaded version. Made by `load`."""

    def __init__(
        self, manifest: Manifest, execution: Execution, reader: TextReader, network: Network
    ) -> None:
        self.manifest = manifest
        self.execution = execution
        self.graphs = manifest.variants[execution.variant].graphs
        self._reader = reader
        self._network: Network | None = network

    @classmethod
    def load(cls, manifest: Manifest, parts: Parts, execution: Execution = Execution()) -> "Model":  # noqa: B008  # frozen
        """Load the graphs of an execution, which the manifest has, of `parts`, and run them once.

        Raises ModelNotLoadableError, and what `parts` raises.
        """
        tokenization = manifest.tokenization
        tokenizer = parts.tokenizer(tokenization.file)
        try:
            reader = TextReader(tokenizer, manifest.task, tokenization.max_tokens, tokenization.stride_tokens)
        except ValueError as error:
            raise _not_loadable(manifest, str(error)) from error
        network = load_network(manifest.variants[execution.variant], parts.session, execution)
        model = cls(manifest, execution, reader, network)
        model._check_that_it_runs()
        return model

    @property
    def trunk(self) -> GraphSession:
        """What reads token ids. Models with the identical one can share a pass. Raises RuntimeError if the model is closed."""
        return self._open_network().trunk

    def reads_like(self, other: "Model") -> bool:
        """Tell whether both turn every text into the same windows."""
        return self._reader.reads_like(other._reader)

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        """Tokenize texts and cut them into windows; result i belongs to text i."""
        return self._reader.encode(texts)

    def run(self, windows: Sequence[Window]) -> list[Logits]:
        """Compute one padded batch; result i belongs to window i. See run_together."""
        return [logits for (logits,) in run_together([(window, (self,)) for window in windows])]

    def classify(self, encoded: EncodedText, logits: Sequence[Logits]) -> list[LabelScore]:
        """Decode the logits of a text's windows: every label by falling score. Raises TaskMismatchError."""
        return self.classify_all([encoded], [logits])[0]

    def classify_all(
        self, texts: Sequence[EncodedText], logits: Sequence[Sequence[Logits]], *, top_k: int = 0
    ) -> list[list[LabelScore]]:
        """Decode texts, `logits[i]` of the windows of text i: the `top_k` labels of each (0: all). Raises TaskMismatchError."""
        decoding, labels = self.manifest.decoding, self.manifest.labels
        if isinstance(decoding, EntitiesDecoding):
            raise self._mismatch("classify")
        pooled = np.array(
            [pool_windows(text.windows, of_text) for text, of_text in zip(texts, logits, strict=True)],
            dtype=np.float64,
        )
        if isinstance(decoding, MultiLabelDecoding):
            return rank_label_set(
                labels,
                pooled,
                temperature=decoding.temperature,
                thresholds=decoding.thresholds,
                top_k=top_k,
            )
        return rank_labels(
            labels,
            pooled,
            temperature=decoding.temperature,
            unknown_below=decoding.unknown_below,
            top_k=top_k,
        )

    def extract(self, encoded: EncodedText, logits: Sequence[Logits]) -> list[EntitySpan]:
        """Decode the logits of a text's windows: its entities by rising start. Raises TaskMismatchError."""
        decoding = self.manifest.decoding
        if not isinstance(decoding, EntitiesDecoding) or encoded.units is None:
            raise self._mismatch("extract entities")
        return extract_spans(
            self.manifest.labels, encoded.units, encoded.windows, logits, temperature=decoding.temperature
        )

    def decide(self, encoded: EncodedText, logits: Sequence[Logits]) -> Decision:
        """Decode what must not differ between two runs of a version; scores may, a little."""
        if self.manifest.task != "entities":
            return frozenset(each.label for each in self.classify(encoded, logits) if each.is_given)
        return frozenset((span.start, span.end, span.label) for span in self.extract(encoded, logits))

    def answer(
        self, texts: Sequence[str], *, batch_tokens: int = 512
    ) -> list[list[LabelScore]] | list[list[EntitySpan]]:
        """Answer texts in bulk, on this thread; result i belongs to text i. Batches hold up to `batch_tokens`, padding counted."""
        if self.manifest.task != "entities":
            return [self.classify(*pair) for pair in self._computed(texts, batch_tokens)]
        return [self.extract(*pair) for pair in self._computed(texts, batch_tokens)]

    def probe(self) -> None:
        """Run and answer what the manifest knows the answer of. Raises ModelNotLoadableError if that cannot be done, or differs."""
        self._check_that_it_runs()
        self.check_golden()

    def check_golden(self) -> None:
        """Answer the manifest's golden examples. Raises ModelNotLoadableError if a decision differs."""
        examples = self.manifest.golden_examples
        computed = self._computed([example.text for example in examples], _GOLDEN_BATCH_TOKENS)
        for number, (example, (text, logits)) in enumerate(zip(examples, computed, strict=True)):
            if self.decide(text, logits) != _expected(example):
                raise _not_loadable(
                    self.manifest, f"it answers golden example {number} otherwise than its manifest says"
                )

    def close(self) -> None:
        """Let the sessions go; their memory is freed when the last call in flight has ended."""
        self._network = None

    def _computed(
        self, texts: Sequence[str], batch_tokens: int
    ) -> Iterator[tuple[EncodedText, list[Logits]]]:
        """Yield each text with its windows' logits, in the order of `texts`."""
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            encoded = self.encode(texts[start : start + _TEXTS_AT_ONCE])
            windows = [window for text in encoded for window in text.windows]
            results: dict[int, Logits] = {}
            for batch in batch_by_length(
                [window.token_count for window in windows], batch_tokens=batch_tokens
            ):
                results.update(zip(batch, self.run([windows[i] for i in batch]), strict=True))
            numbers = iter(range(len(windows)))
            for text in encoded:
                yield text, [results[next(numbers)] for _ in text.windows]

    def _open_network(self) -> Network:
        if self._network is None:
            raise RuntimeError(f"{self.manifest.version} is closed")
        return self._network

    def _check_that_it_runs(self) -> None:
        """Run one short text, so that a graph that cannot run, or has other labels, is refused before anybody calls it."""
        try:
            logits = self.run(self.encode(["a"])[0].windows)[0]
        except Exception as error:  # whatever the reason, the version is of no use here
            raise _not_loadable(self.manifest, "it cannot read a short text") from error
        is_extractor = self.manifest.task == "entities"
        outputs, rank = (self.manifest.tags, 2) if is_extractor else (self.manifest.labels, 1)
        if logits.ndim != rank or logits.shape[-1] != len(outputs):
            raise _not_loadable(self.manifest, f"its logits do not fit its {len(outputs)} outputs")

    def _mismatch(self, verb: str) -> TaskMismatchError:
        version, task = str(self.manifest.version), self.manifest.task
        return TaskMismatchError(
            f"{version} does not {verb}: its task is {task}", model_version=version, task=task
        )


class Together:
    """A padded batch of windows, one at least, for models of one trunk; only `compute` takes long. See network.Pass."""

    def __init__(self, works: Sequence[tuple[Window, Sequence[Model]]]) -> None:
        self._works = works
        batch = pad([window for window, _ in works], works[0][1][0]._reader.tokenizer.pad_id)
        self._pass = Pass(batch, [[model._open_network() for model in models] for _, models in works])
        self.compute = self._pass.compute

    def results(self) -> list[tuple[Logits, ...]]:
        """Return what was computed: result i holds the logits of window i for each of its models, as read-only views.

        Entities: (tokens of the window, tags). Other tasks: (labels,).
        """
        return [
            tuple(
                logits[: window.token_count] if model.manifest.task == "entities" else logits
                for model, logits in zip(models, of_window, strict=True)
            )
            for (window, models), of_window in zip(self._works, self._pass.results(), strict=True)
        ]


def run_together(works: Sequence[tuple[Window, Sequence[Model]]]) -> list[tuple[Logits, ...]]:
    """Compute one padded batch of windows, if any; see Together."""
    if not works:
        return []
    together = Together(works)
    together.compute()
    return together.results()


def _expected(example: GoldenExample) -> Decision:
    if example.entities is not None:
        return frozenset((span.start, span.end, span.label) for span in example.entities)
    labels = example.labels if example.labels is not None else (example.label,)
    return frozenset(label for label in labels if label)  # none of them: the version abstains


def _not_loadable(manifest: Manifest, cause: str) -> ModelNotLoadableError:
    version = str(manifest.version)
    return ModelNotLoadableError(f"{version} cannot be loaded: {cause}", model_version=version, cause=cause)
