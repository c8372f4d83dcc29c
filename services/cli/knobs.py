"""The options of `tagsmith train` that are hyperparameters: none is set unless its option is."""

from typing import Annotated, Any, Literal

import typer

from services.cli.options import whole_number

PoolingName = Literal["masked-mean", "first-token"]
CellName = Literal["gru", "lstm"]
ScheduleName = Literal["linear", "cosine", "slanted-triangular"]
ClassWeightsName = Literal["equal", "square-root", "balanced"]
PrecisionName = Literal["auto", "fp32", "bf16"]
_KNOBS = "Hyperparameters (default: the recipe's)"
_RNN_KNOBS = "The network of rnn-classifier (default: the recipe's)"


def _whole(panel: str, text: str) -> Any:
    """An option that is a whole number."""
    return typer.Option(parser=whole_number, metavar="INTEGER", rich_help_panel=panel, help=text)


MaxEpochs = Annotated[int | None, _whole(_KNOBS, "[1, 1000]")]
BatchSize = Annotated[int | None, _whole(_KNOBS, "Windows a step, [1, 1024].")]
EncoderLearningRate = Annotated[float | None, typer.Option(rich_help_panel=_KNOBS, help="Peak, (0, 1).")]
HeadLearningRate = Annotated[float | None, typer.Option(rich_help_panel=_KNOBS, help="Peak, (0, 1).")]
WarmupShare = Annotated[float | None, typer.Option(rich_help_panel=_KNOBS, help="Of all steps, [0, 1).")]
WeightDecay = Annotated[float | None, typer.Option(rich_help_panel=_KNOBS, help="[0, 1]")]
Dropout = Annotated[float | None, typer.Option(rich_help_panel=_KNOBS, help="Before the head, [0, 1).")]
Patience = Annotated[int | None, _whole(_KNOBS, "Evaluations without a better metric, [1, 1000].")]
MaxTokens = Annotated[int | None, _whole(_KNOBS, "Longest window, [8, 8192].")]
Pooling = Annotated[PoolingName | None, typer.Option(rich_help_panel=_KNOBS, help="For classifiers.")]
LabelSmoothing = Annotated[
    float | None, typer.Option(rich_help_panel=_KNOBS, help="Spread over all labels, [0, 1).")
]
Schedule = Annotated[
    ScheduleName | None, typer.Option(rich_help_panel=_KNOBS, help="Of the rates, after the warm-up.")
]
LayerDecay = Annotated[
    float | None,
    typer.Option(rich_help_panel=_KNOBS, help="Of the encoder's rate, for each layer below the top, (0, 1]."),
]
FrozenLayers = Annotated[
    int | None, _whole(_KNOBS, "Lowest layers that stay as they are, and the embeddings.")
]
FreezeEmbeddings = Annotated[
    bool | None,
    typer.Option(
        "--freeze-embeddings/--train-embeddings",
        rich_help_panel=_KNOBS,
        help="The embeddings stay as they are.",
    ),
]
UnfreezingShare = Annotated[
    float | None,
    typer.Option(
        rich_help_panel=_KNOBS,
        help="Of all steps, over which the layers begin to learn, the top first, [0, 1).",
    ),
]
ClassWeights = Annotated[
    ClassWeightsName | None, typer.Option(rich_help_panel=_KNOBS, help="How much rare labels count.")
]
AveragingDecay = Annotated[
    float | None,
    typer.Option(rich_help_panel=_KNOBS, help="Of the moving average of the weights, a step, [0, 1)."),
]
Precision = Annotated[
    PrecisionName | None,
    typer.Option(rich_help_panel=_KNOBS, help="Of the encoder's multiplications, while it learns."),
]
MicroBatchSize = Annotated[int | None, _whole(_KNOBS, "Windows computed at once, [1, the batch size].")]
MostRefusedShare = Annotated[
    float | None,
    typer.Option(
        rich_help_panel=_KNOBS,
        help="Of rows in scope that may lose a right answer, so that rows out of scope get none, [0, 0.5].",
    ),
]
Cell = Annotated[CellName | None, typer.Option(rich_help_panel=_RNN_KNOBS, help="Kind of recurrent unit.")]
Layers = Annotated[int | None, _whole(_RNN_KNOBS, "[1, 4]")]
Width = Annotated[int | None, _whole(_RNN_KNOBS, "Units of each direction, [8, 1024].")]
EmbeddingWidth = Annotated[int | None, _whole(_RNN_KNOBS, "[8, 1024]")]
VocabularySize = Annotated[int | None, _whole(_RNN_KNOBS, "Tokens at most, [300, 100000].")]
