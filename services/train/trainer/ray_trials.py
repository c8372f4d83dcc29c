"""Trials of a search as actors of a Ray cluster, each with the resources of a worker: it gets the lesson, tells how far it is, and leaves its weights in a file.

The file lies in the trainer's scratch folder, which all nodes see. An actor that is lost with its node is replaced, and says again only what was not yet heard. A
trial that is given up is killed where it is; one that is asked to end early finds a file beside its weights.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import ray
import torch
from ray.exceptions import RayError, RayTaskError

from services.train.events import Progress
from services.train.spec import Assignment
from services.train.trainer.devices import be_deterministic
from services.train.trainer.driving import Course, Driver
from services.train.trainer.memory import limit_memory
from services.train.trainer.stopping import StopRequest
from services.train.trainer.taught import Taught
from services.train.trainer.teaching import Lesson
from services.train.trainer.weights import load_weights, save_weights

_MOST_LOST: Final = 3  # actors of one trial


class RayTrials:
    """See TrialRunner."""

    def __init__(self, assignment: Assignment, folder: Path, *, cpus: float, gpus: float) -> None:
        """Each trial takes `cpus` and `gpus` of a node; `folder` is seen by all nodes."""
        self.at_once = assignment.trials_at_once
        self._folder, self._gpus = folder, gpus
        self._threads, self._most_memory_bytes = assignment.threads, assignment.most_memory_bytes
        self._lock = threading.Lock()
        self._number = 0
        ray.init(log_to_driver=True)
        self._actor = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0)(_Trial)

    def teach(self, lesson: Lesson, driver: Driver) -> Taught:
        """See TrialRunner."""
        with self._lock:
            self._number += 1
            trial = self._folder / f"trial-{self._number}"
            trial.mkdir()
            if not (lesson.spec.adaptable or lesson.frozen or self._gpus):
                lesson.begin(driver.report)  # the encoder's one pass, for all trials
        heard = _Heard(driver)
        for lost in range(_MOST_LOST):
            actor = self._actor.remote()
            try:
                told = actor.teach.options(num_returns="streaming").remote(
                    lesson, trial, self._threads, driver.most_windows, self._most_memory_bytes
                )
                course = heard.follow(told, trial)
                break
            except RayTaskError as error:  # of the trial itself
                raise error.cause from None
            except RayError:  # of the actor's process or node
                if lost == _MOST_LOST - 1:
                    raise
            finally:
                ray.kill(actor)
        weights = trial / "weights.safetensors"
        return Taught(lesson.with_weights(load_weights(weights)), course)


class _Heard:
    """Passes on what was not heard before: a trial that was begun again takes the same steps."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._step = -1

    def follow(self, told: Any, trial: Path) -> Course:
        """Hear a trial to its end."""
        for reference in told:
            word: Progress | Course = ray.get(reference)
            if isinstance(word, Course):
                return word
            if word.step > self._step or word.step == 0:
                self._step = word.step
                self._driver.report(word)
            if self._driver.stop_asked():
                (trial / "stop").touch()
        raise AssertionError("a trial ended without a word")


class _Trial:
    """What an actor does."""

    def teach(
        self,
        lesson: Lesson,
        folder: Path,
        threads: int,
        most_windows: int | None,
        most_memory_bytes: int | None,
    ) -> Iterator[Progress | Course]:
        """Teach, yield progress, leave the weights in `folder`, and yield how it went."""
        if most_memory_bytes is not None:
            limit_memory(most_memory_bytes)
        torch.set_num_threads(threads)
        be_deterministic()
        news: SimpleQueue[Progress | Course | BaseException] = SimpleQueue()
        driver = Driver(news.put, stop_asked=StopRequest(folder / "stop"), most_windows=most_windows)

        def learn() -> None:
            try:
                taught = lesson.teach(driver)
                save_weights(taught.network, folder / "weights.safetensors", adaptable=lesson.spec.adaptable)
                news.put(taught.course)
            except BaseException as error:  # noqa: BLE001 - raised below, where Ray hears it
                news.put(error)

        threading.Thread(target=learn, name="learn", daemon=True).start()
        while isinstance(word := news.get(), Progress):
            yield word
        if isinstance(word, BaseException):
            raise word
        yield word
