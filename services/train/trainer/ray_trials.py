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
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

from services.train.events import Progress
from services.train.spec import Assignment
from services.train.trainer.devices import be_deterministic
from services.train.trainer.driving import Course, Driver
from services.train.trainer.log import say
from services.train.trainer.memory import limit_memory
from services.train.trainer.stopping import StopRequest
from services.train.trainer.taught import Taught
from services.train.trainer.teaching import Lesson
from services.train.trainer.weights import load_weights, save_weights
from shared.errors import TrainerLostError
from shared.telemetry.logs import describe_error

_MOST_LOST: Final = 3  # actors of one trial


class RayTrials:
    """See TrialRunner."""

    def __init__(self, assignment: Assignment, folder: Path, *, cpus: float, gpus: float) -> None:
        """Each trial takes `cpus` and `gpus` of a node; `folder` is seen by all nodes. Raises TrainerLostError where the cluster cannot be joined."""
        self.at_once = assignment.trials_at_once
        self._folder, self._gpus = folder, gpus
        self._threads, self._most_memory_bytes = assignment.threads, assignment.most_memory_bytes
        self._lock = threading.Lock()
        self._number = 0
        try:
            ray.init(log_to_driver=True)
        except Exception as error:  # noqa: BLE001 - Ray has no class for all of them
            raise _lost(error, "The trainer could not join the Ray cluster") from None
        self._actor = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0)(_Trial)

    def teach(self, lesson: Lesson, driver: Driver) -> Taught:
        """See TrialRunner. Raises TrainerLostError where a trial is lost too often, or was asked to end and is lost: then too little of it would be left."""
        with self._lock:
            self._number += 1
            trial = self._folder / f"trial-{self._number}"
            trial.mkdir()
            if not (lesson.spec.adaptable or lesson.frozen or self._gpus):
                lesson.begin(driver.report)  # the encoder's one pass, for all trials
        heard = _Heard(driver)
        stop = trial / "stop"
        for lost in range(1, _MOST_LOST + 1):
            stop.unlink(missing_ok=True)
            actor = self._actor.remote()
            try:
                told = actor.teach.options(num_returns="streaming").remote(
                    lesson, trial, self._threads, driver.most_windows, self._most_memory_bytes
                )
                course = heard.follow(told, stop)
                break
            except RayTaskError as error:  # of the trial itself
                raise error.cause from None
            except RayError as error:  # of the actor's process or node
                if lost < _MOST_LOST and not driver.stop_asked():
                    continue
                if isinstance(error, OutOfMemoryError):
                    raise  # Ray knows to what it was lost, and more attempts would be too
                raise _lost(error, f"A trial was lost with its process or node, {lost} times") from None
            finally:
                ray.kill(actor)
        weights = trial / "weights.safetensors"
        return Taught(lesson.with_weights(load_weights(weights)), course)


class _Heard:
    """Passes on what was not heard before: a trial that was begun again takes the same steps."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._step = -1

    def follow(self, told: Any, stop: Path) -> Course:
        """Hear a trial to its end; `stop` is the file that asks it to end early."""
        for reference in told:
            word: Progress | Course = ray.get(reference)
            if isinstance(word, Course):
                return word
            if word.step > self._step or word.step == 0:
                self._step = word.step
                self._driver.report(word)
            if self._driver.stop_asked():
                stop.touch()
        raise AssertionError("a trial ended without a word")


def _lost(error: Exception, what: str) -> TrainerLostError:
    """Say in the log what Ray says, and return what callers will read."""
    say(describe_error(error))
    return TrainerLostError(f"{what}. Its log says what Ray says; submit again to retry.")


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
