"""The graphs of a variant as one thing that turns a batch into logits.

Owns: which graph is fed by which. Concurrency: as GraphSession, any thread at any time.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from shared.errors import ModelNotLoadableError
from shared.runtime.batches import INPUTS, Batch
from shared.runtime.classification import Logits
from shared.runtime.execution import Execution
from shared.runtime.session import GraphSession
from shared.store.manifest import Graph, StoredFile, Variant

_ENCODER_OUTPUTS = ("pooled", "hidden_states")

OpenFile = Callable[[StoredFile], Path]


class Network(Protocol):
    """What computes logits."""

    def logits(self, batch: Batch) -> Logits:
        """Return (windows, labels), or (windows, tokens, tags)."""


class WholeModel:
    """One graph from token ids to logits."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    def logits(self, batch: Batch) -> Logits:
        """See Network."""
        return self._session.run(batch.feed(self._session.inputs), "logits")


class Encoder:
    """A frozen encoder; it knows no head, so that several may stand on it."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    def encode(self, batch: Batch, output: str) -> Logits:
        """Return `pooled`, (windows, width), or `hidden_states`, (windows, tokens, width)."""
        return self._session.run(batch.feed(self._session.inputs), output)


class HeadOnEncoder:
    """An encoder and the head that was trained on it."""

    def __init__(self, encoder: Encoder, head: GraphSession) -> None:
        self._encoder, self._head = encoder, head
        (self._features,) = head.inputs

    def logits(self, batch: Batch) -> Logits:
        """See Network."""
        return self._head.run({self._features: self._encoder.encode(batch, self._features)}, "logits")


def load_network(variant: Variant, open_file: OpenFile, execution: Execution) -> Network:
    """Load the graphs of `variant` from the files that `open_file` gives. Raises ModelNotLoadableError."""

    def session(role: str, graph: Graph, known_inputs: tuple[str, ...]) -> GraphSession:
        if unknown := set(graph.inputs) - set(known_inputs):
            raise ModelNotLoadableError(
                f"the {role} graph asks for {', '.join(sorted(unknown))}, which this server cannot feed",
                cause="graph inputs",
            )
        return GraphSession(graph, open_file(graph.file), execution.of_head if role == "head" else execution)

    match variant.graphs:
        case {"model": model, **others} if not others:
            return WholeModel(session("model", model, INPUTS))
        case {"encoder": encoder, "head": head, **others} if not others and len(head.inputs) == 1:
            return HeadOnEncoder(
                Encoder(session("encoder", encoder, INPUTS)), session("head", head, _ENCODER_OUTPUTS)
            )
    raise ModelNotLoadableError(
        f"a variant of {', '.join(sorted(variant.graphs))} is not known", cause="graphs"
    )
