"""kill -9 of the service or of the trainer at every named failpoint: nothing acknowledged is lost, nothing happens twice, nothing is stuck.

A round starts a service with one failpoint armed, over the folder that the rounds before have left, and asks it for jobs until it dies, or has
done them. `make test-failpoints` takes 200 rounds; ROUNDS and SEED in the environment change that.
"""

import os
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import grpc
import pytest

from shared.names import VersionName
from shared.stubs.training.v1 import training_pb2 as pb
from tests.bases import TINY_BASE, make_tiny_base
from tests.integration.train_service.failpoints import NAMES
from tests.integration.train_service.harness import Service, state_of, wait_for

_JOBS_A_ROUND: Final = 2
_PATIENCE_S: Final = 6.0  # of a round whose failpoint may never be reached
_SERVICE: Final = "tests.integration.train_service.failing_service"


class Rounds:
    """A folder that services die over, and what callers were told."""

    def __init__(
        self, folder: Path, seed: int, *, bases: Path | None = None, patience_s: float = _PATIENCE_S
    ) -> None:
        self.service = Service(folder, module=_SERVICE, bases=bases)
        self.patience_s = patience_s
        self.spec = (
            {}
            if bases is None
            else {"base_model": TINY_BASE, "hyperparameters": pb.Hyperparameters(max_epochs=2)}
        )
        self.dice = random.Random(seed)  # noqa: S311  # which failpoint, no secret
        self.acknowledged: dict[str, str] = {}  # job by request
        self.asked: list[str] = []
        self.deaths = 0

    def begin(self) -> None:
        """Import the rows, by a service that nothing happens to."""
        self.service.start()
        self.service.import_csv()
        self.service.stop()

    def play(self, failpoint: str) -> None:
        """One round: start, ask, and wait for the death, the end of all jobs, or for as long as patience lasts."""
        try:
            self.service.start(max_concurrent_jobs="4", failpoint=failpoint)
        except AssertionError:
            if not self.is_dead:  # it hung: no failpoint does that
                raise
            self.deaths += 1
            return
        for number in range(_JOBS_A_ROUND):
            self.ask(f"{len(self.asked)}.{number}")
        for request in self.dice.sample(self.asked, min(2, len(self.asked))):
            self.ask(request)  # a caller that was not answered asks again, and so does one that was
        with suppress(AssertionError, grpc.RpcError):  # it was not reached, or it died while it was asked
            wait_for(
                lambda: self.is_dead or self.is_done(), what="the end of the round", timeout_s=self.patience_s
            )
        with suppress(AssertionError):  # a process that has killed itself is not gone at once
            wait_for(lambda: self.is_dead, what="the death", timeout_s=0.5)
        self.deaths += self.is_dead
        self.service.kill() if self.dice.random() < 0.5 else self.service.end_gracefully()

    def ask(self, request: str) -> None:
        """Submit; G2 is checked with every answer."""
        if request not in self.asked:
            self.asked.append(request)
        try:
            job = self.service.submit("succeed", request_id=request, promote_to="production", **self.spec)
        except grpc.RpcError:
            return
        assert self.acknowledged.setdefault(request, job.id) == job.id

    @property
    def is_dead(self) -> bool:
        assert self.service.process is not None
        return self.service.process.poll() is not None

    def is_done(self) -> bool:
        return all(
            state_of(self.service.job(job)) in ("SUCCEEDED", "FAILED") for job in self.acknowledged.values()
        )

    def finish(self) -> None:
        """Start a service that nothing happens to; everything comes to its end, and all guarantees hold."""
        self.service.start(max_concurrent_jobs="4")
        ends = {request: self.service.end_of(job) for request, job in self.acknowledged.items()}  # G1
        for request, end in ends.items():
            assert state_of(end) == "SUCCEEDED", (request, end)
            again = self.service.submit("succeed", request_id=request, promote_to="production", **self.spec)
            assert again.id == end.id  # G2
        for end in ends.values():
            manifest = self.service.models.manifest(VersionName.parse(end.model_version))
            assert manifest.lineage.job_id == end.id  # G3, with the store's create-once
        moves = self.service.promotions("succeed")
        assert len({job for _, job in moves}) == len(moves)  # no job moved the alias twice
        assert {end.id for end in ends.values()} <= {job for _, job in moves}
        assert not self.service.trainers()


@pytest.fixture
def rounds(tmp_path: Path) -> Iterator[Rounds]:
    """A folder with rows, and dice."""
    made = Rounds(tmp_path, int(os.environ.get("SEED", "7")))
    made.begin()
    yield made
    made.service.close()


@pytest.mark.timeout(110)
def test_g1_g2_g3_killed_at_some_failpoints(rounds: Rounds) -> None:
    """The worst moments: acknowledged and unclaimed, recorded and unstarted, published and unrecorded, moved and unrecorded."""
    for failpoint in (
        "after add:1",
        "before start trainer:1",
        "after record the attempt:1",
        "after move the alias:1",
    ):
        rounds.play(failpoint)
    rounds.finish()
    assert rounds.deaths == 3


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_g1_g2_g3_killed_at_every_failpoint(rounds: Rounds) -> None:
    """Every failpoint, in an order and at a time that dice choose."""
    count = int(os.environ.get("ROUNDS", "200"))
    failpoints = [
        name for _ in range(-(-count // len(NAMES))) for name in rounds.dice.sample(NAMES, len(NAMES))
    ]
    for name in failpoints[:count]:
        rounds.play(f"{name}:{rounds.dice.randint(1, 4)}")
    rounds.finish()
    print(f"{count} rounds, {rounds.deaths} deaths of a service, {len(rounds.acknowledged)} jobs")  # noqa: T201  # for whoever runs it
    assert rounds.deaths > count // 4


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_g1_g2_g3_killed_with_the_real_trainer(tmp_path: Path) -> None:
    """Ten rounds with the trainer that trains."""
    make_tiny_base(tmp_path / "bases")
    rounds = Rounds(tmp_path, int(os.environ.get("SEED", "7")), bases=tmp_path / "bases", patience_s=60)
    try:
        rounds.begin()
        for name in (
            "after add",
            "before start trainer",
            "after change",
            "before put a file",
            "after put a file",
            "before publish",
            "after record the attempt",
            "after write the manifest",
            "before promote",
            "after move the alias",
        ):
            rounds.play(f"{name}:{rounds.dice.randint(1, 2)}")
        rounds.finish()
    finally:
        rounds.service.close()
