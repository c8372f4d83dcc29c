"""`make demo`: the whole of Tagsmith on the project's own sample data, by the commands that anybody would type.

Starts both services over `var/demo` on free ports, imports two datasets, trains a classifier and an extractor from the real base,
promotes them, asks them over gRPC, scores them on the rows that they never saw, and stops everything. Each step is the real
command in a process of its own; the first one that fails ends the demo with its exit code. It needs no network.
"""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from services.cli.failures import CommandError, error_lines
from services.cli.signals import StopRequested
from services.cli.up import running_services

_FOLDER = Path("var/demo")
_SAMPLES = Path(__file__).parent / "samples"
_INTENTS = _SAMPLES / "support-intents.jsonl"
_ENTITIES = _SAMPLES / "support-entities.jsonl"
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


def main() -> int:
    """Run the demo and return its exit code."""
    started_s = time.monotonic()
    os.environ.update(_OFFLINE)
    _say("Starting the training service and the inference service over one folder ...")
    try:
        with running_services(_FOLDER, train_port=0, infer_port=0) as services:
            os.environ["TAGSMITH_TRAIN_ADDRESS"] = services.train_address
            os.environ["TAGSMITH_INFER_ADDRESS"] = services.infer_address
            demonstrate(_tagsmith)
    except CommandError as error:
        sys.stderr.write("\n".join(error_lines(error.explained)) + "\n")
        return 1
    except subprocess.CalledProcessError as error:
        _say(f"This step failed (exit code {error.returncode}). The logs are in {_FOLDER / 'logs'}.")
        return error.returncode or 1
    except StopRequested:
        return 130
    _say(
        f"Done in {time.monotonic() - started_s:.0f} s; nothing is left running. "
        f"`tagsmith up --folder {_FOLDER}` serves these models again."
    )
    return 0


def demonstrate(tagsmith: Callable[..., None]) -> None:
    """Tell the story; `tagsmith` runs a command with the arguments that it is called with."""
    _say("A support desk's messages become two datasets: what a customer wants, and what the message names.")
    tagsmith("data", "import", "support-intents", "--task", "classification", str(_INTENTS))
    tagsmith("data", "import", "support-entities", "--task", "entities", str(_ENTITIES))

    _say("A classifier: the encoder stays as it is (Adaptable off), its head learns.")
    tagsmith("train", "support-intents", "support-intents", "--frozen", "--promote", "production")

    _say("An entity extractor: all weights learn (Adaptable on).")
    tagsmith("train", "support-entities", "support-entities", "--max-epochs", "6", "--promote", "production")

    _say("Both answer over gRPC. These messages are in neither dataset.")
    tagsmith(
        "classify",
        "support-intents",
        "The parcel was meant to be here on Monday, where has it got to?",
        "one of the cups had a crack in it",
        "You took the money from my card twice!",
    )
    tagsmith(
        "extract",
        "support-entities",
        "Hello, Marion Duval here. Order LK-90417 went to Toulouse, but I moved to Nantes on 4 May.",
        "The Tidewater speaker that I bought on Saturday crackles 😕",
    )

    _say("How well do they do on the rows that were held out (the test split)?")
    tagsmith("eval", "support-intents", str(_INTENTS), "--split", "test")
    tagsmith("eval", "support-entities", str(_ENTITIES), "--split", "test")
    tagsmith("models")


def _tagsmith(*arguments: str) -> None:
    sys.stdout.write(f"$ tagsmith {shlex.join(arguments)}\n")
    sys.stdout.flush()
    subprocess.run([sys.executable, "-m", "services.cli", *arguments], check=True)


def _say(line: str) -> None:
    sys.stdout.write(f"\n{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
