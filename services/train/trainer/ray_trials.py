"""Trials of a search as actors of a Ray cluster, each with the resources of a worker: it gets the lesson, tells how far it is, and leaves its weights in a file.

The file lies in the trainer's scratch folder, which all nodes see. An actor that is lost with its node is replaced, and says again only what was not yet heard. A
trial that is given up is killed where it is.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import ray
import torch
from ray.exceptions import RayError, RayTaskError
from safetensors.torch import load_file, save_file

from services.train.events import Progress
from services.train.trainer.devices import be_deterministic
from services.train.trainer.network import Network
from services.train.trainer.teaching import Lesson
from services.train.trainer.trials import Note

_MOST_LOST: Final = 3  # actors of one trial


class RayTrials:
    """See TrialRunner."""

    def __init__(self, at_once: int, folder: Path, *, threads: int, cpus: float, gpus: float) -> None:
        """Trains `at_once` trials at a time, each with `cpus` and `gpus` of a node and so many `threads`; `folder` is seen by all nodes."""
        self.at_once = at_once
        self._folder, self._threads, self._gpus = folder, threads, gpus
        self._lock = threading.Lock()
        self._number = 0
        ray.init(log_to_driver=True)
        self._actor = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0)(_Trial)

    def teach(self, lesson: Lesson, note: Note) -> Network:
        """See TrialRunner."""
        with self._lock:
            self._number += 1
            path = self._folder / f"trial-{self._number}.safetensors"
            if not (lesson.spec.adaptable or lesson.frozen or self._gpus):
                lesson.begin(note)  # the encoder's one pass, for all trials
        heard = _Heard(note)
        for lost in range(1, _MOST_LOST + 1):
            actor = self._actor.remote()
            try:
                self._follow(actor, lesson, path, heard)
                break
            except RayTaskError as error:  # of the trial itself
                raise error.cause from None
            except RayError:  # of the actor's process or node
                if lost == _MOST_LOST:
                    raise
            finally:
                ray.kill(actor)
        network, _ = lesson.begin(lambda _: None)
        network.load_state_dict(load_file(path))
        path.unlink()
        return network.cpu().eval()

    def _follow(self, actor: Any, lesson: Lesson, path: Path, heard: "_Heard") -> None:
        for each in actor.teach.options(num_returns="streaming").remote(lesson, path, self._threads):
            heard.note(Progress.model_validate_json(ray.get(each)))


class _Trial:
    """What an actor does."""

    def teach(self, lesson: Lesson, path: Path, threads: int) -> Iterator[str]:
        """Teach, yield progress as JSON, and leave the weights in `path`."""
        torch.set_num_threads(threads)
        be_deterministic()
        news: SimpleQueue[Progress | None] = SimpleQueue()
        ends: list[BaseException] = []

        def learn() -> None:
            try:
                _save(lesson.teach(news.put), path)
            except BaseException as error:  # noqa: BLE001 - raised below, where Ray hears it
                ends.append(error)
            news.put(None)

        thread = threading.Thread(target=learn, name="learn", daemon=True)
        thread.start()
        while (progress := news.get()) is not None:
            yield progress.model_dump_json()
        thread.join()
        if ends:
            raise ends[0]


class _Heard:
    """Passes on what was not heard before: a trial that was begun again takes the same steps."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._step = -1

    def note(self, progress: Progress) -> None:
        if progress.step > self._step or progress.step == 0:
            self._step = progress.step
            self._note(progress)


def _save(network: Network, path: Path) -> None:
    aside = path.with_suffix(".partial")
    save_file({name: each.contiguous() for name, each in network.state_dict().items()}, aside)
    aside.rename(path)
