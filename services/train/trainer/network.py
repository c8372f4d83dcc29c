"""What learns: an encoder, a way to read it, and a head.

Shapes: (windows, tokens) token ids and mask -> hidden states (windows, tokens, width) -> what is read of them, (..., width) ->
logits (..., outputs). The same modules are trained, exported and, in eval mode, held against what was exported.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from services.train.spec import JobSpec
from shared.store.manifest import Task

_LEAST_SPREAD = 1e-3  # of a frozen encoder's vectors, to their size

Reading = Literal["pooled", "first-token", "each-token"]


def reading_of(task: Task, spec: JobSpec) -> Reading:
    """How a task reads the encoder's outputs."""
    if task == "entities":
        return "each-token"
    return "pooled" if spec.hyperparameters.pooling == "masked-mean" else "first-token"


class Encoder(nn.Module):
    """From token ids to hidden states and their masked mean."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Numbers in a vector."""

    @property
    @abstractmethod
    def token_embeddings(self) -> Tensor:
        """One row for each token id, (vocabulary, embedding width)."""

    @property
    @abstractmethod
    def layers(self) -> Sequence[nn.Module]:
        """The layers above the embeddings, the lowest first."""

    @abstractmethod
    def untaught(self) -> "Encoder":
        """Return an encoder of the same architecture with random weights."""

    def depths(self) -> list[list[nn.Parameter]]:
        """The parameters by depth: first those below the first layer, then each layer's; what follows the last goes with it."""
        layer_of = {
            id(parameter): depth
            for depth, layer in enumerate(self.layers, start=1)
            for parameter in layer.parameters()
        }
        depths: list[list[nn.Parameter]] = [[] for _ in range(len(self.layers) + 1)]
        after = 0
        for parameter in self.parameters():  # in the order in which they were made, which is that of the flow
            depth = layer_of.get(id(parameter))
            after = len(self.layers) if depth == len(self.layers) else after
            depths[after if depth is None else depth].append(parameter)
        return depths

    @abstractmethod
    def hidden_states(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None
    ) -> Tensor:
        """Return (windows, tokens, width); what stands at padding is never read."""

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return hidden states, (windows, tokens, width), and their mean over the tokens that are not padding."""
        hidden = self.hidden_states(input_ids, attention_mask, token_type_ids)
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return hidden, (hidden * mask).sum(dim=1) / mask.sum(dim=1)


class LinearHead(nn.Module):
    """Dropout and one linear layer: enough where the encoder learns too."""

    def __init__(self, width: int, outputs: int, *, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, outputs))

    def forward(self, vectors: Tensor) -> Tensor:
        """(..., width) -> (..., outputs)."""
        logits: Tensor = self.layers(vectors)
        return logits


class DeepHead(nn.Module):
    """Standardised vectors through one hidden layer: what a frozen encoder does not tell apart, the head must."""

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int, outputs: int, *, dropout: float, vectors: Tensor) -> None:
        """`vectors`, (many, width), are the train split's: their mean and overall spread are standardised away."""
        super().__init__()
        self.register_buffer("mean", vectors.mean(dim=0))
        # One scale for all dimensions: some bases have a dimension that never moves. Where none does (texts that are all one to
        # the base), what is left is rounding, and is not to be made large.
        least = _LEAST_SPREAD * vectors.abs().mean()
        self.register_buffer("scale", 1.0 / vectors.std(dim=0).mean().clamp(min=least.clamp(min=1e-6)))
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, outputs),
        )

    def forward(self, vectors: Tensor) -> Tensor:
        """(..., width) -> (..., outputs)."""
        logits: Tensor = self.layers((vectors - self.mean) * self.scale)
        return logits


class ReadingHead(nn.Module):
    """A head on whole encoder outputs, as they are exported."""

    def __init__(self, head: nn.Module, reading: Reading) -> None:
        super().__init__()
        self.head = head
        self.reading = reading

    def forward(self, features: Tensor) -> Tensor:
        """Pooled (windows, width) or hidden states (windows, tokens, width) -> logits."""
        logits: Tensor = self.head(features[:, 0] if self.reading == "first-token" else features)
        return logits


class Network(nn.Module):
    """The whole: token ids to logits, (windows, labels) or (windows, tokens, tags)."""

    def __init__(self, encoder: Encoder, head: nn.Module, reading: Reading) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = ReadingHead(head, reading)

    @property
    def reading(self) -> Reading:
        """How the encoder's outputs are read."""
        return self.head.reading

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """See the class."""
        hidden, pooled = self.encoder(input_ids, attention_mask, token_type_ids)
        logits: Tensor = self.head(pooled if self.reading == "pooled" else hidden)
        return logits
