"""The plain Hugging Face Trainer, tuned by hand on Tagsmith's base and rows, with its seeds.

One knob is tuned on the validation split, with the first seed: the learning rate, by a whole run at each; of GoEmotions, whose train split
is large, by runs of as many epochs on a quarter of its rows, and the best rate is then run whole. Other seeds run at the best rate. Batches
and epochs, and so the optimiser's steps, are about those of Tagsmith's recipe, and so is the arithmetic: bf16 where the processor multiplies
in it. Of each run the best epoch by validation is kept. Each run is told as it ends, so that what was cut short goes on where it was.
"""

import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any, Final

from torch.utils.data import SequentialSampler
from transformers import AutoTokenizer, Trainer, TrainingArguments, set_seed

from shared.processor import multiplies_bfloat16
from tests.bench.data import BASE, SPLITS, Rows, read_split
from tests.bench.hugging_face_tasks import Task, task_of
from tests.bench.rows import Arm, RowSpec

Run = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is tried on a data set, and what every run there has in common."""

    learning_rates: tuple[float, ...]
    epochs: int
    batch_size: int
    tried_share: float = 1.0  # of the train rows; below 1, the best rate is run on all of them afterwards


TUNINGS: Final = {
    "banking77": Tuning((5e-5, 1e-4, 2e-4, 4e-4), epochs=9, batch_size=32),
    "goemotions": Tuning((5e-5, 1e-4, 2e-4), epochs=4, batch_size=32, tried_share=0.25),
    "nlupp": Tuning((2e-5, 5e-5, 1e-4), epochs=36, batch_size=32),
    "uner_ewt": Tuning((5e-5, 1e-4, 2e-4, 4e-4), epochs=15, batch_size=16),
    "wnut17": Tuning((5e-5, 1e-4, 2e-4), epochs=8, batch_size=16),
}


def tune(row: RowSpec, known: Arm | None) -> Iterator[Arm]:
    """Yield the arm as it stands after each run that `known` does not have; `left` names those that are still to come."""
    tuning, seeds = TUNINGS[row.dataset], row.baseline_seeds
    tried: dict[str, float] = dict(known["tried"]) if known else {}
    runs: dict[str, Run] = dict(known["runs"]) if known else {}
    seconds = known["seconds"] if known else 0.0
    rates = {f"{rate:g}": rate for rate in tuning.learning_rates}

    def left() -> list[str]:
        return [
            *(f"rate {rate}" for rate in rates if rate not in tried),
            *(f"seed {seed}" for seed in seeds if str(seed) not in runs),
        ]

    while todo := left():
        kind, which = todo[0].split()
        if kind == "rate":
            run = _fine_tune(row, tuning, rates[which], seeds[0], tuning.tried_share)
            tried[which] = run["validation"]
            if tuning.tried_share == 1 and which == _best(tried):
                runs[str(seeds[0])] = run
        else:
            run = runs[which] = _fine_tune(row, tuning, rates[_best(tried)], int(which), 1.0)
        seconds += run["seconds"]
        yield {
            "name": "Hugging Face Trainer",
            "tuned": "learning_rate",
            "settings": {**asdict(tuning), "bf16": multiplies_bfloat16()},
            "tried": tried,
            "runs": runs,
            "left": left(),
            "seconds": round(seconds, 1),
            **_means(runs),
        }


def _best(tried: dict[str, float]) -> str:
    return max(tried, key=tried.__getitem__)


def _means(runs: dict[str, Run]) -> Arm:
    """The arm's own figures, those of its runs on average; of one run, its interval too."""
    if not runs:
        return {}
    each = list(runs.values())
    told: Arm = {split: mean(run[split] for run in each) for split in ("validation", "test")}
    told["metrics"] = {metric: mean(run["metrics"][metric] for run in each) for metric in each[0]["metrics"]}
    return told if len(each) > 1 else {**told, "interval": each[0]["interval"]}


class _TrainerInOrder(Trainer):
    """The plain Trainer; only that `group_by_length` does not shuffle what is evaluated: answers are scored against the rows."""

    def _get_eval_sampler(self, eval_dataset: Any) -> SequentialSampler:
        return SequentialSampler(eval_dataset)


def _fine_tune(row: RowSpec, tuning: Tuning, learning_rate: float, seed: int, share: float) -> Run:
    """Fine-tune as the Trainer's documentation shows, and score the best epoch's answers."""
    started = time.monotonic()
    set_seed(seed)
    rows = {split: read_split(row.dataset, split) for split in SPLITS}
    rows["train"] = _drawn(rows["train"], share, seed)
    task = task_of(row.task, AutoTokenizer.from_pretrained(BASE), rows)
    with tempfile.TemporaryDirectory() as folder:
        trainer = _TrainerInOrder(
            task.model,
            TrainingArguments(
                folder,
                learning_rate=learning_rate,
                num_train_epochs=tuning.epochs,
                group_by_length=True,
                per_device_train_batch_size=tuning.batch_size,
                per_device_eval_batch_size=64,
                warmup_ratio=0.1,
                weight_decay=0.01,
                bf16=multiplies_bfloat16(),
                eval_strategy="epoch",
                save_strategy="epoch",
                save_total_limit=1,
                save_only_model=True,
                load_best_model_at_end=True,
                metric_for_best_model="score",
                logging_strategy="no",
                report_to=[],
                disable_tqdm=True,
                seed=seed,
                use_cpu=True,
            ),
            data_collator=task.collator,
            train_dataset=task.encoded["train"],
            eval_dataset=task.encoded["validation"],
            compute_metrics=lambda told: {"score": _validation(task, told.predictions)},
        )
        trainer.train()
        trainer.compute_metrics = None  # it is of validation
        logits = {split: trainer.predict(task.encoded[split]).predictions for split in ("validation", "test")}
    return {
        "learning_rate": learning_rate,
        "train_rows": len(rows["train"].texts),
        **task.score(logits),
        "seconds": round(time.monotonic() - started, 1),
    }


def _validation(task: Task, logits: Any) -> float:
    return float(task.score({"validation": logits})["validation"])


def _drawn(rows: Rows, share: float, seed: int) -> Rows:
    """Draw a share of the rows."""
    count = len(rows.texts)
    chosen = random.Random(seed).sample(range(count), round(share * count))  # noqa: S311  # a draw of rows, no secret
    return rows if share == 1 else rows.at(chosen)
