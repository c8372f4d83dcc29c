"""What a later training goes on from: a version's weights as they were trained, in one safetensors file.

Of a version whose encoder stayed as it was, the head alone: the encoder is the base's.
"""

from pathlib import Path
from typing import Final

from safetensors.torch import load_file, save_file
from torch import Tensor

from services.train.trainer.network import Network

Weights = dict[str, Tensor]

_ENCODER: Final = "encoder."


def save_weights(network: Network, path: Path, *, adaptable: bool) -> None:
    """Write the weights that were learnt. Equal weights give equal bytes."""
    kept = {
        name: tensor.detach().contiguous()
        for name, tensor in network.state_dict().items()
        if adaptable or not name.startswith(_ENCODER)
    }
    save_file(kept, path, metadata={"format": "pt"})


def load_weights(path: Path) -> Weights:
    """Read what save_weights wrote."""
    return load_file(path)


def encoder_weights(weights: Weights) -> Weights:
    """Return the encoder's part, by its own names; empty where it is the base's."""
    return {
        name.removeprefix(_ENCODER): tensor for name, tensor in weights.items() if name.startswith(_ENCODER)
    }


def head_weights(weights: Weights) -> Weights:
    """Return the head's part, by its own names."""
    prefix = "head.head."
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
