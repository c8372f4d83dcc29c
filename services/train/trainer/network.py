"""What learns: a pre-trained encoder, a way to read it, and a head.

Shapes: (windows, tokens) token ids and mask -> hidden states (windows, tokens, width) -> what is read of them, (..., width) ->
logits (..., outputs). The same modules are trained, exported and, in eval mode, held against what was exported.
"""

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel

from services.train.spec import JobSpec
from shared.errors import BaseModelNotFoundError
from shared.store.manifest import Task

Reading = Literal["pooled", "first-token", "each-token"]


def reading_of(task: Task, spec: JobSpec) -> Reading:
    """How a task reads the encoder's outputs."""
    if task == "entities":
        return "each-token"
    return "pooled" if spec.hyperparameters.pooling == "masked-mean" else "first-token"


def load_encoder(folder: Path) -> "Encoder":
    """Load a base's weights as float32. Raises BaseModelNotFoundError if the folder does not hold a known encoder."""
    try:
        transformer, loading = AutoModel.from_pretrained(
            folder,
            local_files_only=True,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError) as error:  # for absent, foreign or unknown files
        raise BaseModelNotFoundError(
            f"The folder of base model {folder.name!r} cannot be read as an encoder.", base_model=folder.name
        ) from error
    if any(not name.startswith("pooler.") for name in loading["missing_keys"]):  # they would be random
        raise BaseModelNotFoundError(
            f"The weights of base model {folder.name!r} are not complete.", base_model=folder.name
        )
    if getattr(transformer, "pooler", None) is not None:
        transformer.pooler = None  # trained for another task, and not part of what is read
    return Encoder(transformer)


class Encoder(nn.Module):
    """A transformer and the masked mean of its last hidden states."""

    def __init__(self, transformer: PreTrainedModel) -> None:
        super().__init__()
        self.transformer = transformer

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return int(self.transformer.config.hidden_size)

    @property
    def token_embeddings(self) -> Tensor:
        """One row for each token id, (vocabulary, width)."""
        table: Tensor = self.transformer.get_input_embeddings().get_parameter("weight")
        return table

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return hidden states, (windows, tokens, width), and their mean over the tokens that are not padding."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        hidden: Tensor = self.transformer(**inputs)["last_hidden_state"]
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
        # One scale for all dimensions: some bases have a dimension that never moves.
        self.register_buffer("scale", 1.0 / vectors.std(dim=0).mean().clamp(min=1e-6))
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
