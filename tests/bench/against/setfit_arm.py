"""SetFit's part of the contest: a script of its own environment, which imports nothing of Tagsmith.

`python setfit_arm.py setfit <folder>` reads the folder's `work.json` and writes its `answers.json`, as contenders.py does. All is as
SetFit documents it (batches of 16 pairs, body rate 2e-5 with a warm-up of 0.1, CosineSimilarityLoss, then LogisticRegression on the body's
vectors) but for the number of pairs. `setfit` draws 20 positive and 20 negative pairs a row, what SetFit drew before 1.0 and its paper
(arXiv:2209.11055) does, in at most 2,400 steps, which is what Tagsmith's own recipe takes of batches with as many texts.
`setfit-all-pairs` draws as SetFit does today where nothing is said: as many positive as negative pairs until every pair was there once,
36,575 steps for ten rows of each of 77 labels, and forty million negative pairs for 9,000 rows.
"""

import json
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments

PAIRS_PER_ROW = 40
BATCH_SIZE = 16
MOST_STEPS = 2400


def main(arm: str, folder: Path) -> None:
    """Train, answer, write."""
    work = json.loads((folder / "work.json").read_text())
    texts, labels = work["train"]["texts"], work["train"]["labels"]
    names = sorted(set(labels))
    started, cpu_started = time.monotonic(), time.process_time()
    model = SetFitModel.from_pretrained(work["base"], labels=names, local_files_only=True, device="cpu")
    steps = min(MOST_STEPS, PAIRS_PER_ROW * len(texts) // BATCH_SIZE) if arm == "setfit" else -1
    with tempfile.TemporaryDirectory() as checkpoints:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=checkpoints,
                max_steps=work.get("most_steps") or steps,
                seed=work["seed"],
                report_to="none",
                show_progress_bar=False,
                save_strategy="no",
            ),
            train_dataset=Dataset.from_dict({"text": texts, "label": [names.index(each) for each in labels]}),
        )
        trainer.train()
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu_started
    answered = {
        split: [str(label) for label in model.predict(work[split]["texts"], show_progress_bar=False)]
        for split in ("validation", "test")
    }
    packages = {name: version(name) for name in ("setfit", "sentence-transformers", "transformers", "torch")}
    told = {"steps": trainer.st_trainer.state.global_step, "packages": packages}
    record = {**answered, "seconds": seconds, "cpu_seconds": cpu_seconds, "told": told}
    (folder / "answers.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
