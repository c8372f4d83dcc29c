"""Residency on a virtual clock: a real store in memory, a loader that takes a told time and fails when told."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import Executor, Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from services.infer.residency.follower import Follower
from services.infer.residency.lifecycle import State
from services.infer.residency.lookups import Lookups
from services.infer.residency.residency import Residency
from shared.errors import (
    AliasNotFoundError,
    ArtifactCorruptError,
    ModelLoadingError,
    ModelNotFoundError,
    ModelNotLoadableError,
    StoreUnavailableError,
    TagsmithError,
    VersionNotFoundError,
    VersionRejectedError,
)
from shared.names import AliasName, ModelReference, VersionName, parse_reference
from shared.runtime.execution import Execution
from shared.runtime.model import Model
from shared.store.manifest import Manifest
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from tests.tiny import publish_tiny

pytestmark = pytest.mark.looptime

LOAD_S = 10.0


class VirtualThreads(Executor):
    """A thread that takes `seconds` of the loop's clock for a job (for the job `slow` alone, if one is named), or none."""

    def __init__(
        self,
        seconds: float = 0.0,
        on_submit: Callable[[object], None] = lambda _: None,
        slow: Callable[..., Any] | None = None,
    ) -> None:
        self.seconds = seconds
        self.on_submit = on_submit
        self.slow = slow
        self.submitted = 0
        self._busy_until_s = 0.0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        job: Future[Any] = Future()
        self.on_submit(fn)
        self.submitted += 1
        job.set_running_or_notify_cancel()  # begun, as in a free thread: cancelling comes too late

        def work() -> None:
            try:
                result = fn(*args, **kwargs)
            except Exception as error:  # noqa: BLE001  # a thread hands on whatever the job raised
                job.set_exception(error)
            else:
                job.set_result(result)

        loop = asyncio.get_running_loop()
        begins_s = max(loop.time(), self._busy_until_s)
        self._busy_until_s = begins_s + (self.seconds if self.slow in (None, fn) else 0.0)
        if self._busy_until_s > loop.time():
            loop.call_at(self._busy_until_s, work)
        else:
            work()
        return job


class Sorting(Executor):
    """Gives the questions about one model to threads of their own."""

    def __init__(self, usual: Executor, special: Executor, model: str) -> None:
        self._usual, self._special, self._model = usual, special, model

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        threads = self._special if self._model in args else self._usual
        return threads.submit(fn, *args, **kwargs)


class FakeLoader:
    """Gives models that can only be told apart and closed."""

    def __init__(self) -> None:
        self.faults: dict[VersionName, Exception] = {}
        self.loads: list[VersionName] = []
        self.closed: list[VersionName] = []
        self.kept: list[list[VersionName]] = []

    def tidy(self, in_memory: Collection[Manifest]) -> None:
        self.kept.append([manifest.version for manifest in in_memory])

    def load(self, version: VersionName) -> Model:
        self.loads.append(version)
        if version in self.faults:
            raise self.faults[version]
        return cast(
            "Model",
            SimpleNamespace(
                manifest=SimpleNamespace(version=version),
                execution=Execution(),
                close=lambda: self.closed.append(version),
            ),
        )


class Flaky(MemoryStore):
    """A store that can be away."""

    away = False

    def read(self, key: str) -> bytes:
        if self.away:
            raise StoreUnavailableError("away", operation="read")
        return super().read(key)


class World:
    """A store with models, and a residency over it that polls every 2 s."""

    def __init__(self, scratch: Path, *required: str, on_demand_limit: int = 8) -> None:
        self.scratch = scratch
        self.objects = Flaky()
        self.models = ModelStore(self.objects)
        self.loader = FakeLoader()
        self.changes = 0
        self.asked: list[object] = []
        asking = self.asking = VirtualThreads(on_submit=self.asked.append)
        self.residency = Residency(
            self.loader,
            Lookups(self.models, asking),
            VirtualThreads(LOAD_S, slow=self.loader.load),
            required=[parse_reference(reference) for reference in required],
            idle_unload_s=900,
            on_demand_limit=on_demand_limit,
            on_change=self._note_change,
        )
        self.follower = Follower(self.residency, self.models, asking, interval_s=2, jitter=lambda: 1.0)

    def _note_change(self) -> None:
        self.changes += 1

    def publish(
        self, model: str = "banking", *, alias: str | None = None, state: Any = "published"
    ) -> VersionName:
        version = publish_tiny(self.models, model, "classification", scratch=self.scratch, state=state)
        if alias:
            self.point(version, alias)
        return version

    def point(self, version: VersionName, alias: str = "production") -> None:
        self.models.set_alias(
            version.model, alias, version.number, expected=None, actor="test", reason="test"
        )

    async def answering(self, reference: str) -> VersionName:
        async with self.residency.serving(parse_reference(reference)) as loaded:
            return loaded.version

    async def loaded(self, reference: str) -> VersionName:
        with pytest.raises(ModelLoadingError):
            await self.answering(reference)
        await asyncio.sleep(LOAD_S + 0.1)
        return await self.answering(reference)

    def states(self) -> dict[str, str]:
        return {str(each.version): each.state.name for each in self.residency.residents}

    async def __aenter__(self) -> "World":
        self.task = asyncio.create_task(self.follower.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert not self.task.done()
        self.task.cancel()
        await self.residency.close()


async def test_a_required_alias_is_loaded_from_the_start(tmp_path: Path) -> None:
    """Without a call; the server is ready when it answers, not before."""
    world = World(tmp_path, "banking")
    version = world.publish(alias="production")
    async with world:
        await asyncio.sleep(LOAD_S - 0.1)
        assert not world.residency.required_answer
        await asyncio.sleep(0.2)
        assert world.residency.required_answer
        assert await world.answering("banking") == version
        assert world.residency.aliases_of(version) == ["production"]


async def test_a_required_alias_may_come_later_than_the_server(tmp_path: Path) -> None:
    """A server that starts before the first training is not ready, says NOT_FOUND and picks the model up when it is there."""
    world = World(tmp_path, "banking")
    async with world:
        await asyncio.sleep(5)
        assert not world.residency.required_answer
        with pytest.raises(ModelNotFoundError):
            await world.answering("banking")
        version = world.publish(alias="production")
        await asyncio.sleep(2.1 + LOAD_S)
        assert await world.answering("banking") == version


async def test_a_model_that_is_not_required_loads_at_its_first_call(tmp_path: Path) -> None:
    """By alias and by version alike: MODEL_LOADING with a delay to retry, then answers."""
    world = World(tmp_path)
    version = world.publish(alias="canary")
    async with world:
        with pytest.raises(ModelLoadingError) as caught:
            await world.answering("banking@canary")
        assert caught.value.retry_after_ms
        await asyncio.sleep(LOAD_S + 0.1)
        assert await world.answering("banking@canary") == version


async def test_a_concrete_version_loads_at_its_first_call(tmp_path: Path) -> None:
    """As an alias does."""
    world = World(tmp_path)
    version = world.publish()
    async with world:
        assert await world.loaded("banking@1") == version


async def test_a_version_that_an_alias_has_loaded_answers_under_its_number_at_once(tmp_path: Path) -> None:
    """One version is in memory once, whatever names lead to it."""
    world = World(tmp_path, "banking")
    version = world.publish(alias="production")
    async with world:
        await asyncio.sleep(LOAD_S + 0.1)
        assert await world.answering("banking@1") == version
        assert world.loader.loads == [version]


async def test_a_new_version_takes_over_when_it_is_warm(tmp_path: Path) -> None:
    """While it loads the version before answers; a call in flight keeps that one in memory to its end."""
    world = World(tmp_path, "banking")
    first = world.publish(alias="production")
    async with world:
        await asyncio.sleep(LOAD_S + 0.1)
        second = world.publish(alias="production")
        await asyncio.sleep(2.1)
        assert world.states() == {"banking@1": "ACTIVE", "banking@2": "LOADING"}
        async with world.residency.serving(AliasName("banking", "production")) as held:
            assert held.version == first
            await asyncio.sleep(LOAD_S + 0.1)
            assert await world.answering("banking") == second
            assert world.states() == {"banking@1": "DRAINING", "banking@2": "ACTIVE"}
            assert world.loader.closed == []
        assert world.states() == {"banking@2": "ACTIVE"}
        await asyncio.sleep(LOAD_S + 0.1)
        assert world.loader.closed == [first]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (ArtifactCorruptError("bad blob", key="k"), "ARTIFACT_CORRUPT"),
        (ModelNotLoadableError("schema 9", cause="schema"), "MODEL_NOT_LOADABLE"),
        (MemoryError(), "MODEL_NOT_LOADABLE"),
        (KeyError("a bug"), "MODEL_NOT_LOADABLE"),
    ],
)
async def test_g7_a_bad_new_version_never_takes_the_serving_one_down(
    tmp_path: Path, fault: Exception, reason: str
) -> None:
    """The alias goes on answering with the version before, the server stays ready, the failure shows, and the load is retried
    with back-off until it succeeds.
    """
    world = World(tmp_path, "banking")
    first = world.publish(alias="production")
    async with world:
        await asyncio.sleep(LOAD_S + 0.1)
        second = world.publish()
        world.loader.faults[second] = fault
        world.point(second)
        for _ in range(60):
            await asyncio.sleep(1)
            assert await world.answering("banking") == first
            assert world.residency.required_answer
        failed = world.residency.resident(second)
        assert failed.state is State.FAILED
        assert failed.error is not None
        assert failed.error.reason == reason
        assert world.residency.aliases_of(second) == ["production"]
        assert 3 <= world.loader.loads.count(second) <= 6  # in a minute
        del world.loader.faults[second]
        await asyncio.sleep(120)
        assert await world.answering("banking") == second
        assert world.states() == {"banking@2": "ACTIVE"}


async def test_moving_the_alias_back_forgets_the_bad_version(tmp_path: Path) -> None:
    """A rollback ends the retries, too."""
    world = World(tmp_path, "banking")
    first = world.publish(alias="production")
    async with world:
        await asyncio.sleep(LOAD_S + 0.1)
        second = world.publish()
        world.loader.faults[second] = ModelNotLoadableError("bad", cause="c")
        world.point(second)
        await asyncio.sleep(LOAD_S + 3)
        world.point(first)
        await asyncio.sleep(2.1)
        assert world.states() == {"banking@1": "ACTIVE"}


async def test_a_version_that_cannot_be_loaded_says_why_to_its_callers(tmp_path: Path) -> None:
    """With no version before it, calls get the reason instead of waiting for ever."""
    world = World(tmp_path)
    version = world.publish()
    world.loader.faults[version] = ArtifactCorruptError("bad blob", key="k")
    async with world:
        with pytest.raises(ModelLoadingError):
            await world.answering("banking@1")
        await asyncio.sleep(LOAD_S + 0.1)
        for _ in range(3):
            with pytest.raises(ArtifactCorruptError):
                await world.answering("banking@1")


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        ("unknown", ModelNotFoundError),
        ("unknown@3", ModelNotFoundError),
        ("banking@canary", AliasNotFoundError),
        ("banking@9", VersionNotFoundError),
        ("banking@2", VersionRejectedError),
    ],
)
async def test_what_does_not_exist_is_refused_at_once_and_cheaply(
    tmp_path: Path, reference: str, error: type[TagsmithError]
) -> None:
    """Nothing is loaded for it; a burst of such calls asks the store once, and a second later it is asked anew."""
    world = World(tmp_path)
    world.publish(alias="production")
    world.publish(state="rejected")
    world.asked.clear()
    for _ in range(20):
        with pytest.raises(error):
            await world.answering(reference)
    assert len(world.asked) == 1
    assert world.states() == {}
    await asyncio.sleep(1.1)
    with pytest.raises(error):
        await world.answering(reference)
    assert len(world.asked) == 2


async def test_a_store_outage_leaves_what_answers_alone(tmp_path: Path) -> None:
    """Known references answer on; unknown ones get STORE_UNAVAILABLE, not NOT_FOUND; afterwards the aliases are followed again."""
    world = World(tmp_path, "banking")
    first = world.publish(alias="production")
    async with world:
        await asyncio.sleep(LOAD_S + 0.1)
        world.objects.away = True
        await asyncio.sleep(600)
        assert await world.answering("banking") == first
        with pytest.raises(StoreUnavailableError):
            await world.answering("banking@1000")
        world.objects.away = False
        second = world.publish(alias="production")
        await asyncio.sleep(2.1 + LOAD_S)
        assert await world.answering("banking") == second


async def test_what_nobody_calls_is_unloaded_unless_it_is_required(tmp_path: Path) -> None:
    """After 900 s without a call; a call before that keeps it."""
    world = World(tmp_path, "banking")
    world.publish(alias="production")
    world.publish()
    async with world:
        assert await world.loaded("banking@2") == VersionName("banking", 2)
        await asyncio.sleep(890)
        await world.answering("banking@2")
        await asyncio.sleep(890)
        assert world.states() == {"banking@1": "ACTIVE", "banking@2": "ACTIVE"}
        await asyncio.sleep(20)
        assert world.states() == {"banking@1": "ACTIVE"}


async def test_callers_cannot_fill_the_memory(tmp_path: Path) -> None:
    """At most `on_demand_limit` references are loaded for calls; the ones called longest ago make room."""
    world = World(tmp_path, on_demand_limit=2)
    for _ in range(4):
        world.publish()
    async with world:
        for number in (1, 2, 3, 4):
            await world.loaded(f"banking@{number}")
        await asyncio.sleep(2.1)
        assert world.states() == {"banking@3": "ACTIVE", "banking@4": "ACTIVE"}


async def test_a_burst_of_first_calls_delays_what_is_required_by_one_load(tmp_path: Path) -> None:
    """Of twenty versions called at once only the one whose load has begun and the `on_demand_limit` called last are ever loaded,
    and a promotion of the required model goes before all that wait.
    """
    world = World(tmp_path, "banking", on_demand_limit=2)
    world.publish(alias="production")
    others = [world.publish("other") for _ in range(20)]
    async with world:
        await asyncio.sleep(LOAD_S * 3)
        for version in others:
            with pytest.raises(ModelLoadingError):
                await world.answering(str(version))
        assert world.states() == {
            "banking@1": "ACTIVE",
            "other@1": "LOADING",
            "other@19": "QUEUED",
            "other@20": "QUEUED",
        }
        promoted = world.publish(alias="production")
        await asyncio.sleep(LOAD_S * 3 + 5)
        assert await world.answering("banking") == promoted
        assert world.loader.loads[1:3] == [others[0], promoted]
        await asyncio.sleep(LOAD_S * 3)
        assert world.loader.loads[3:] == others[18:]
        assert world.states() == {"banking@2": "ACTIVE", "other@19": "ACTIVE", "other@20": "ACTIVE"}


async def test_copies_are_tidied_when_nothing_waits_to_be_loaded(tmp_path: Path) -> None:
    """Once for two loads in a row, keeping what is in memory then, whether it answers or still drains."""
    world = World(tmp_path, "banking", "other")
    first, other = world.publish(alias="production"), world.publish("other", alias="production")
    async with world:
        await asyncio.sleep(LOAD_S * 4)
        assert world.loader.kept == [[first, other]]
        async with world.residency.serving(first):
            second = world.publish(alias="production")
            await asyncio.sleep(LOAD_S * 3)
        assert world.loader.kept[1:] == [[first, second, other]]


async def test_telling_what_is_in_memory_loads_nothing_and_keeps_nothing(tmp_path: Path) -> None:
    """NOT_FOUND for what no call has asked for, MODEL_LOADING while it loads; looking does not count as a call."""
    world = World(tmp_path)
    version = world.publish(alias="canary")
    canary = AliasName("banking", "canary")
    async with world:
        for reference, error in ((version, VersionNotFoundError), (canary, AliasNotFoundError)):
            with pytest.raises(error):
                world.residency.resident(reference)
        assert world.states() == {}
        with pytest.raises(ModelLoadingError):
            await world.answering("banking@canary")
        with pytest.raises(ModelLoadingError):
            world.residency.resident(canary)
        await asyncio.sleep(LOAD_S + 0.1)
        for _ in range(10):
            assert world.residency.resident(canary).version == version
            assert world.residency.resident(version).version == version
            await asyncio.sleep(85)
        await asyncio.sleep(50)
        assert world.states() == {}


async def test_a_reference_called_by_many_at_once_is_loaded_once(tmp_path: Path) -> None:
    """Sixteen first callers cause one lookup and one load."""
    world = World(tmp_path)
    version = world.publish(alias="production")
    async with world:
        answers = await asyncio.gather(
            *(world.answering("banking") for _ in range(16)), return_exceptions=True
        )
        assert {type(answer) for answer in answers} == {ModelLoadingError}
        await asyncio.sleep(LOAD_S + 0.1)
        assert world.loader.loads == [version]


async def test_one_model_that_cannot_be_read_does_not_stop_the_following_of_others(tmp_path: Path) -> None:
    """Even an unforeseen fault of one model's records is that model's alone."""
    world = World(tmp_path, "aaa", "banking")
    world.publish(alias="production")
    read = world.models.aliases

    def aliases(model: str) -> Any:
        if model == "aaa":
            raise RuntimeError("unforeseen")
        return read(model)

    world.models.aliases = aliases  # type: ignore[method-assign]
    async with world:
        await asyncio.sleep(LOAD_S + 0.1)
        assert await world.answering("banking") == VersionName("banking", 1)


async def test_one_model_whose_records_hang_stops_nobody_else(tmp_path: Path) -> None:
    """Another model's promotion arrives as ever, idle versions go, one warning is given, and the stuck model is not asked about
    again until its question ends; then it is followed again.
    """
    world = World(tmp_path, "aaa", "banking")
    version = world.publish(alias="production")
    stuck = VirtualThreads(4000)
    world.follower._threads = Sorting(world.asking, stuck, "aaa")
    async with world:
        with capture_logs() as logs:
            await asyncio.sleep(LOAD_S + 0.1)
            assert await world.answering("banking") == version
            promoted = world.publish(alias="production")
            await asyncio.sleep(LOAD_S + 2.1)
            assert await world.answering("banking") == promoted
            await world.loaded("banking@1")
            await asyncio.sleep(950)
            assert world.states() == {"banking@2": "ACTIVE"}
        warnings = [each for each in logs if each["event"] == "aliases_unreadable"]
        assert [(each["model"], each["reason"]) for each in warnings] == [("aaa", "STORE_UNAVAILABLE")]
        assert stuck.submitted == 1
        world.publish("aaa", alias="production")
        await asyncio.sleep(3100)
        assert await world.answering("aaa") == VersionName("aaa", 1)


async def test_thread_work_keeps_the_version_after_its_caller_has_left(tmp_path: Path) -> None:
    """A cancelled caller's thread still has its model; the version goes when the thread has ended."""
    world = World(tmp_path, "banking")
    first = world.publish(alias="production")
    async with world:
        await asyncio.sleep(LOAD_S + 0.1)

        async def call() -> None:
            reference: ModelReference = AliasName("banking", "production")
            async with world.residency.serving(reference) as loaded:
                await loaded.in_thread(VirtualThreads(100), lambda: None)

        caller = asyncio.create_task(call())
        await asyncio.sleep(1)
        caller.cancel()
        second = world.publish(alias="production")
        await asyncio.sleep(2.1 + LOAD_S)
        assert await world.answering("banking") == second
        assert world.states() == {"banking@1": "DRAINING", "banking@2": "ACTIVE"}
        await asyncio.sleep(100)
        assert world.states() == {"banking@2": "ACTIVE"}
        assert world.loader.closed == [first]
