"""Pre-trained encoders: any transformer in Hub layout."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel

from services.train.trainer.network import Encoder
from shared.errors import BaseModelNotFoundError


class TransformerEncoder(Encoder):
    """A transformer's last hidden states."""

    def __init__(self, transformer: PreTrainedModel) -> None:
        super().__init__()
        self.transformer = transformer

    @property
    def width(self) -> int:
        """See Encoder."""
        return int(self.transformer.config.hidden_size)

    @property
    def token_embeddings(self) -> Tensor:
        """See Encoder."""
        table: Tensor = self.transformer.get_input_embeddings().get_parameter("weight")
        return table

    def untaught(self) -> "TransformerEncoder":
        """See Encoder."""
        return TransformerEncoder(_without_pooler(type(self.transformer)(self.transformer.config)))

    @property
    def layers(self) -> Sequence[nn.Module]:
        """See Encoder: the longest list of modules, whatever its family calls it."""
        lists = [list(each) for each in self.transformer.modules() if isinstance(each, nn.ModuleList)]
        return max(lists, key=len, default=[])

    def hidden_states(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None
    ) -> Tensor:
        """See Encoder."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        hidden: Tensor = self.transformer(**inputs)["last_hidden_state"]
        return hidden


def load_encoder(folder: Path) -> TransformerEncoder:
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
    return TransformerEncoder(_without_pooler(transformer))


def _without_pooler(transformer: PreTrainedModel) -> PreTrainedModel:
    if getattr(transformer, "pooler", None) is not None:
        transformer.pooler = None  # type: ignore[assignment]  # trained for another task, and not part of what is read
    return transformer
