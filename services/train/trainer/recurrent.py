"""The encoder that starts from nothing: token embeddings under layers that read the text in both directions.

Each layer is two one-way networks; the one that reads backwards is given the text reversed by a gather, padding left in its
place. So padding never reaches a text's states, and the graph needs neither packed sequences nor anything that knows a length
beforehand, which exporters get wrong (pytorch#191855, onnxruntime#11830). GRU: arXiv:1406.1078; LSTM: Hochreiter and Schmidhuber, 1997.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from services.train.spec import RecurrentShape
from services.train.trainer.network import Encoder

_CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}
_EMBEDDING_SPREAD = 0.1  # of the first weights; one, as torch draws them, would drown what is learnt


class RecurrentEncoder(Encoder):
    """Embeddings and recurrent layers with random weights."""

    def __init__(self, shape: RecurrentShape, *, vocabulary_size: int, dropout: float) -> None:
        """`dropout` is that of every layer's input."""
        super().__init__()
        self._made_with = (shape, vocabulary_size, dropout)
        self._width = 2 * shape.width
        self.embeddings = nn.Embedding(vocabulary_size, shape.embedding_width)
        nn.init.normal_(self.embeddings.weight, std=_EMBEDDING_SPREAD)
        self.dropout = nn.Dropout(dropout)
        widths = [shape.embedding_width, *[self._width] * (shape.layers - 1)]
        self.forwards, self.backwards = (
            nn.ModuleList(_CELLS[shape.cell](width, shape.width, batch_first=True) for width in widths)
            for _ in range(2)
        )

    @property
    def width(self) -> int:
        """See Encoder."""
        return self._width

    @property
    def token_embeddings(self) -> Tensor:
        """See Encoder."""
        return self.embeddings.weight

    def untaught(self) -> "RecurrentEncoder":
        """See Encoder."""
        shape, vocabulary_size, dropout = self._made_with
        return RecurrentEncoder(shape, vocabulary_size=vocabulary_size, dropout=dropout)

    @property
    def layers(self) -> Sequence[nn.Module]:
        """See Encoder. A layer is two networks."""
        return [nn.ModuleList(pair) for pair in zip(self.forwards, self.backwards, strict=True)]

    def hidden_states(self, input_ids: Tensor, attention_mask: Tensor, _: Tensor | None) -> Tensor:
        """See Encoder."""
        turned = _reversal(attention_mask)
        states: Tensor = self.embeddings(input_ids)
        for onwards, backwards in zip(self.forwards, self.backwards, strict=True):
            states = self.dropout(states)
            read = _gather(backwards(_gather(states, turned))[0], turned)
            states = torch.cat([onwards(states)[0], read], dim=-1)
        return states


def _reversal(attention_mask: Tensor) -> Tensor:
    """Return (windows, tokens): which token stands at each place when every text is read from its end."""
    places = torch.arange(attention_mask.shape[1], device=attention_mask.device).unsqueeze(0)
    lengths = attention_mask.sum(dim=1, keepdim=True)
    return torch.where(places < lengths, lengths - 1 - places, places)


def _gather(states: Tensor, places: Tensor) -> Tensor:
    return states.gather(1, places.unsqueeze(-1).expand(-1, -1, states.shape[-1]))
