"""What a search may try: for each knob a range around the spec's own value."""

import optuna

from services.train.spec import MOST_BATCH_SIZE, Hyperparameters, SearchedKnob


def proposed(trial: optuna.Trial, own: Hyperparameters, knobs: tuple[SearchedKnob, ...]) -> Hyperparameters:
    """Ask for a value of each knob, around the spec's own."""
    return own.model_copy(update={knob: _suggest(trial, knob, getattr(own, knob)) for knob in knobs})


def _suggest(trial: optuna.Trial, knob: SearchedKnob, own: float) -> float | int:
    match knob:
        case "encoder_learning_rate" | "head_learning_rate":
            return trial.suggest_float(knob, own / 5, min(5 * own, 0.5), log=True)
        case "batch_size":
            sizes = sorted({max(1, int(own) // 2), int(own), min(2 * int(own), MOST_BATCH_SIZE)})
            return int(trial.suggest_categorical(knob, sizes))
        case "weight_decay":
            return trial.suggest_float(knob, 0.0, 0.1)
        case "dropout":
            return trial.suggest_float(knob, 0.0, 0.6)
        case "label_smoothing":
            return trial.suggest_float(knob, 0.0, 0.3)
        case "layer_decay":
            return trial.suggest_float(knob, 0.6, 1.0)
        case "unfreezing_share":
            return trial.suggest_float(knob, 0.0, 0.4)
        case "averaging_decay":
            return float(trial.suggest_categorical(knob, sorted({0.0, 0.99, 0.998, float(own)})))
