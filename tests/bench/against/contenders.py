"""What is trained in Tagsmith's own environment: its recipes, and the plain Trainer as AutoTrain runs it.

`python -m tests.bench.against.contenders <arm> <folder>` reads the folder's `work.json`, {base, seed, train, validation, test: {texts, labels}},
and writes `answers.json`: the labels answered for validation and test, and the seconds, of the clock and of the processor, from rows in
memory to trained weights in memory. Reading the base and the texts counts, imports and answering do not; nor, of Tagsmith, do export and gate.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from services.train.trainer.corpus import Corpus
from services.train.trainer.driving import Driver
from services.train.trainer.reference import Reference
from shared.data.rows import Row
from tests.bench.lessons import prepare_classifier

Answer = Callable[[Sequence[str]], list[str]]
Work = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trained:
    """Something that answers, and what is to be told of how it came about."""

    answer: Answer
    told: dict[str, Any]


def tagsmith(work: Work, *, adaptable: bool) -> Trained:
    """Train by the default recipe; of the steps, those until patience ended it are told."""
    rows = {
        split: [
            Row(text, label=label)
            for text, label in zip(work[split]["texts"], work[split]["labels"], strict=True)
        ]
        for split in ("train", "validation")
    }
    labels = tuple(sorted(set(work["train"]["labels"])))
    corpus = Corpus("classification", labels, {**rows, "test": []})
    knobs = {"max_epochs": work["most_epochs"]} if "most_epochs" in work else {}
    prepared = prepare_classifier(corpus, seed=work["seed"], adaptable=adaptable, knobs=knobs)
    steps = 0

    def note(progress: Any) -> None:
        nonlocal steps
        steps = max(steps, progress.step)

    network = prepared.lesson.teach(Driver(note)).network
    reference = Reference(network, prepared.reader, labels)
    return Trained(
        lambda texts: [labels[int(each.pooled.argmax())] for each in reference.compute(texts)],
        {"steps": steps, "hyperparameters": prepared.lesson.spec.hyperparameters.model_dump()},
    )


def three_epochs(work: Work) -> Trained:
    """Train as AutoTrain Advanced does where nothing is said (TextClassificationParams of 0.8.24).

    Three epochs in batches of 8, AdamW at 5e-5 without weight decay, linear with a warm-up of 0.1, 128 tokens, gradients clipped at 1. With a
    validation split it evaluates after each epoch and keeps the epoch of the least loss; its early stopping, after 5 epochs, cannot come. It
    pads every text to 128 tokens, which only costs time: here texts are padded to the longest of their batch.
    """
    labels = sorted(set(work["train"]["labels"]))
    tokenizer = AutoTokenizer.from_pretrained(work["base"])
    encoded = {
        split: [
            {**tokenizer(text, truncation=True, max_length=128), "labels": labels.index(label)}
            for text, label in zip(work[split]["texts"], work[split]["labels"], strict=True)
        ]
        for split in ("train", "validation")
    }
    torch.manual_seed(work["seed"])
    model = AutoModelForSequenceClassification.from_pretrained(work["base"], num_labels=len(labels))
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model,
            TrainingArguments(
                folder,
                learning_rate=5e-5,
                num_train_epochs=work.get("most_epochs", 3),
                per_device_train_batch_size=8,
                per_device_eval_batch_size=16,
                warmup_ratio=0.1,
                weight_decay=0.0,
                max_grad_norm=1.0,
                lr_scheduler_type="linear",
                optim="adamw_torch",
                eval_strategy="epoch",
                save_strategy="epoch",
                save_total_limit=1,
                load_best_model_at_end=True,
                logging_strategy="no",
                report_to=[],
                disable_tqdm=True,
                seed=work["seed"],
                use_cpu=True,
            ),
            data_collator=DataCollatorWithPadding(tokenizer),
            train_dataset=encoded["train"],
            eval_dataset=encoded["validation"],
        )
        trainer.train()

    def answer(texts: Sequence[str]) -> list[str]:
        asked = [tokenizer(text, truncation=True, max_length=128) for text in texts]
        return [labels[i] for i in np.argmax(trainer.predict(asked).predictions, axis=1)]

    return Trained(answer, {"steps": trainer.state.global_step})


ARMS: Final[dict[str, Callable[[Work], Trained]]] = {
    "tagsmith": lambda work: tagsmith(work, adaptable=True),
    "tagsmith-frozen": lambda work: tagsmith(work, adaptable=False),
    "three-epochs": three_epochs,
}


def main(arm: str, folder: Path) -> None:
    """Train, answer, write."""
    work = json.loads((folder / "work.json").read_text())
    started, cpu_started = time.monotonic(), time.process_time()
    trained = ARMS[arm](work)
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu_started
    answered = {split: trained.answer(work[split]["texts"]) for split in ("validation", "test")}
    record = {**answered, "seconds": seconds, "cpu_seconds": cpu_seconds, "told": trained.told}
    (folder / "answers.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
