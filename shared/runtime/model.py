"""A version in memory: texts in, answers out. The gate accepts, and the inference service answers, through this one class.

Invariant: an answer depends on the text and the manifest alone, never on batch-mates, padding or order.
Concurrency: every method may be called from any threads at once. Calls that run when `close` is called end well.
"""

from collections.abc import Iterator, Sequence

from shared.errors import ModelNotLoadableError, TaskMismatchError
from shared.runtime.batches import batch_by_length, pad
from shared.runtime.classification import LabelScore, Logits, pool_windows, rank_label_set, rank_labels
from shared.runtime.entities import EntitySpan, extract_spans
from shared.runtime.execution import Execution
from shared.runtime.network import Network, OpenFile, load_network
from shared.runtime.reader import EncodedText, TextReader
from shared.runtime.tokenizer import TextTokenizer
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
    def load(
        cls,
        manifest: Manifest,
        open_file: OpenFile,
        *,
        execution: Execution = Execution(),  # noqa: B008  # frozen
        text_threads: int = 1,
    ) -> "Model":
        """Load the graphs of an execution, which the manifest has, from the local files that `open_file` gives, and run them once.

        `text_threads`: threads that can encode at once without a first-time cost. Raises ModelNotLoadableError, and what `open_file` raises.
        """
        tokenization = manifest.tokenization
        tokenizer = TextTokenizer(open_file(tokenization.file), ready=text_threads)
        try:
            reader = TextReader(tokenizer, manifest.task, tokenization.max_tokens, tokenization.stride_tokens)
        except ValueError as error:
            raise _not_loadable(manifest, str(error)) from error
        network = load_network(manifest.variants[execution.variant], open_file, execution)
        model = cls(manifest, execution, reader, network)
        model._check_that_it_runs()
        return model

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        """Tokenize texts and cut them into windows; result i belongs to text i."""
        return self._reader.encode(texts)

    def run(self, windows: Sequence[Window]) -> list[Logits]:
        """Compute one padded batch; result i belongs to window i.

        Entities: (tokens of the window, tags). Other tasks: (labels,). Results are read-only views of one array.
        """
        network = self._network
        if network is None:
            raise RuntimeError(f"{self.manifest.version} is closed")
        if not windows:
            return []
        logits = network.logits(pad(windows, self._reader.tokenizer.pad_id))
        logits.flags.writeable = False
        if self.manifest.task != "entities":
            return list(logits)
        return [rows[: window.token_count] for rows, window in zip(logits, windows, strict=True)]

    def classify(self, encoded: EncodedText, logits: Sequence[Logits]) -> list[LabelScore]:
        """Decode the logits of a text's windows: every label by falling score. Raises TaskMismatchError."""
        decoding, labels = self.manifest.decoding, self.manifest.labels
        if isinstance(decoding, EntitiesDecoding):
            raise self._mismatch("classify")
        pooled = pool_windows(encoded.windows, logits)
        if isinstance(decoding, MultiLabelDecoding):
            return rank_label_set(labels, pooled, thresholds=decoding.thresholds)
        return rank_labels(labels, pooled, temperature=decoding.temperature)

    def extract(self, encoded: EncodedText, logits: Sequence[Logits]) -> list[EntitySpan]:
        """Decode the logits of a text's windows: its entities by rising start. Raises TaskMismatchError."""
        if not isinstance(self.manifest.decoding, EntitiesDecoding) or encoded.units is None:
            raise self._mismatch("extract entities")
        return extract_spans(self.manifest.labels, encoded.units, encoded.windows, logits)

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


def _expected(example: GoldenExample) -> Decision:
    if example.entities is not None:
        return frozenset((span.start, span.end, span.label) for span in example.entities)
    return frozenset(example.labels if example.labels is not None else (example.label or "",))


def _not_loadable(manifest: Manifest, cause: str) -> ModelNotLoadableError:
    version = str(manifest.version)
    return ModelNotLoadableError(f"{version} cannot be loaded: {cause}", model_version=version, cause=cause)
