"""The graphs of a variant: a trunk that reads token ids, and for a frozen encoder the head that stands on it.

Owns: which graph is fed by which, and how several heads share one pass of their trunk. Concurrency: as GraphSession, any thread
at any time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from shared.errors import ModelNotLoadableError
from shared.runtime.batches import INPUTS, Batch
from shared.runtime.classification import Logits
from shared.runtime.execution import Execution
from shared.runtime.session import GraphSession
from shared.store.manifest import Graph, Variant

_LOGITS: Final = "logits"
_ENCODER_OUTPUTS: Final = ("pooled", "hidden_states")

MakeSession = Callable[[Graph, Execution], GraphSession]


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """What computes logits. Networks with the identical `trunk` can be computed in one pass."""

    trunk: GraphSession  # token ids to `reads`
    reads: str  # the trunk's output that is looked at: `logits`, or `pooled` or `hidden_states` for a head
    head: GraphSession | None  # `reads` to `logits`; None: the trunk gives them itself

    def finish(self, features: Logits) -> Logits:
        """Return the logits of rows of `reads`."""
        return features if self.head is None else self.head.run({self.reads: features}, (_LOGITS,))[0]


class Pass:
    """One pass of the trunk that all `wanted` networks stand on; `wanted[i]` are those that read window i.

    `compute` is all that takes long, and runs next to no Python: a thread that does nothing else holds the GIL for microseconds.
    """

    def __init__(self, batch: Batch, wanted: Sequence[Sequence[Network]]) -> None:
        self._wanted = wanted
        self._rows: dict[Network, list[int]] = {}
        for row, networks in enumerate(wanted):
            for network in (
                {*networks} if len(networks) > 1 else networks
            ):  # one that is asked twice computes once
                self._rows.setdefault(network, []).append(row)
        self._trunk = next(iter(self._rows)).trunk
        self._outputs = tuple(dict.fromkeys(network.reads for network in self._rows))
        self._feeds = batch.feed(self._trunk.inputs)
        self._logits: list[Logits] = []

    def compute(self) -> None:
        """Run the graphs."""
        features = dict(zip(self._outputs, self._trunk.run(self._feeds, self._outputs), strict=True))
        for network, rows in self._rows.items():
            read = features[network.reads]
            self._logits.append(network.finish(read if len(rows) == len(self._wanted) else read[rows]))

    def results(self) -> list[tuple[Logits, ...]]:
        """Return what was computed: result i holds the logits of window i for each of its networks, (labels,) or (tokens of the
        batch, tags), as read-only views.
        """
        results: list[dict[Network, Logits]] = [{} for _ in self._wanted]
        for (network, rows), logits in zip(self._rows.items(), self._logits, strict=True):
            logits.flags.writeable = False
            for row, of_row in zip(rows, logits, strict=True):
                results[row][network] = of_row
        return [
            tuple(of_row[network] for network in networks)
            for of_row, networks in zip(results, self._wanted, strict=True)
        ]


def load_network(variant: Variant, make_session: MakeSession, execution: Execution) -> Network:
    """Load the graphs of `variant` to be run so. Raises ModelNotLoadableError, and what `make_session` raises."""

    def session(role: str, graph: Graph, known_inputs: tuple[str, ...]) -> GraphSession:
        if unknown := set(graph.inputs) - set(known_inputs):
            raise ModelNotLoadableError(
                f"the {role} graph asks for {', '.join(sorted(unknown))}, which this server cannot feed",
                cause="graph inputs",
            )
        return make_session(graph, execution.of_head if role == "head" else execution)

    match variant.graphs:
        case {"model": model, **others} if not others:
            return Network(session("model", model, INPUTS), _LOGITS, None)
        case {"encoder": encoder, "head": head, **others} if not others and len(head.inputs) == 1:
            trunk = session("encoder", encoder, INPUTS)
            return Network(trunk, head.inputs[0], session("head", head, _ENCODER_OUTPUTS))
    raise ModelNotLoadableError(
        f"a variant of {', '.join(sorted(variant.graphs))} is not known", cause="graphs"
    )
