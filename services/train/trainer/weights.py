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
    save_file(learnt_weights(network, adaptable=adaptable), path, metadata={"format": "pt"})


def learnt_weights(network: Network, *, adaptable: bool) -> Weights:
    """Return the weights that were learnt, by their names in the network."""
    return {
        name: tensor.detach().contiguous()
        for name, tensor in network.state_dict().items()
        if adaptable or not name.startswith(_ENCODER)
    }


def put_learnt_weights(weights: Weights, network: Network, *, adaptable: bool) -> None:
    """Put them back. Raises ValueError, with nothing changed, where they are those of another network."""
    own = learnt_weights(network, adaptable=adaptable)
    if {name: each.shape for name, each in own.items()} != {
        name: each.shape for name, each in weights.items()
    }:
        raise ValueError("the weights are of another network")
    network.load_state_dict(weights, strict=adaptable)


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
