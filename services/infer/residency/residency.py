"""Owns the versions in memory and the references that lead to them.

A reference is followed from the start if the settings require it, else from its first call, which is answered MODEL_LOADING
while its version loads; `name@7` and `name@alias` are alike in this. A reference that nobody required is forgotten when it was
not called for `idle_unload_s`, or when more than `on_demand_limit` others were called since; a version is unloaded when no
followed reference leads to it and its last call is done.

Invariants: a reference that answers goes on answering (a new version takes over when it is ACTIVE, and the version before stays
until then); a model is closed after its last pin.

Concurrency: all state is touched on the event loop only and `_settle` has no await, so every caller sees a whole step.
Loading and unloading happen one at a time in a thread of their own. Versions wait for it here, not in the thread's queue: when
a turn comes, required ones go first, and what nobody wants any more has left.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, ParamSpec, TypeVar

from services.infer.residency.footprint import Footprint, does_not_fit, total_bytes
from services.infer.residency.freed_memory import give_back
from services.infer.residency.lifecycle import Event, State, may_be_forgotten
from services.infer.residency.loading import Loader
from services.infer.residency.lookups import Lookups
from services.infer.residency.refusals import loading, not_in_memory
from services.infer.residency.resident import Loaded, Resident
from services.infer.residency.routes import Route, dispensable, evictable, new_route, wanted
from shared.errors import TagsmithError
from shared.names import AliasName, ModelReference, VersionName
from shared.telemetry import metrics
from shared.telemetry.logs import get_logger

_log = get_logger()

P = ParamSpec("P")
T = TypeVar("T")


class Residency:
    """What is in memory."""

    def __init__(
        self,
        loader: Loader,
        lookups: Lookups,
        loading_thread: Executor,
        *,
        required: Sequence[ModelReference],
        idle_unload_s: float,
        on_demand_limit: int,
        memory_budget_bytes: float,
        on_change: Callable[[], None],
    ) -> None:
        """Follow `required` from now on; `on_change` is called after every change of what answers."""
        self._loader = loader
        self._lookups = lookups
        self._loading_thread = loading_thread
        self._idle_unload_s = idle_unload_s
        self._on_demand_limit = on_demand_limit
        self._memory_budget_bytes = memory_budget_bytes
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._residents: dict[VersionName, Resident] = {}
        self._routes = {
            reference: new_route(reference, self._loop.time(), required=True) for reference in required
        }
        self._aliases: dict[str, dict[str, VersionName]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_loading = False

    @property
    def required_answer(self) -> bool:
        """Whether every required reference answers; true also if there is none."""
        return all(route.serving is not None for route in self._routes.values() if route.required)

    @property
    def models(self) -> set[str]:
        """Names of the models that are followed."""
        return {reference.model for reference in self._routes}

    @property
    def residents(self) -> list[Resident]:
        """Everything in memory, by model and version."""
        return [self._residents[version] for version in sorted(self._residents)]

    def aliases_of(self, version: VersionName) -> list[str]:
        """Return the aliases that the store last said to point to `version`, sorted."""
        known = self._aliases.get(version.model, {})
        return sorted(alias for alias, target in known.items() if target == version)

    async def pinned(self, reference: ModelReference) -> Loaded:
        """Return the version that answers for `reference`, pinned: whoever asks unpins it.

        Raises ModelLoadingError if it is being loaded (from now on, if this is its first call), what its loading raised if it
        cannot be, and what the store says of a reference that it does not have.
        """
        route = await self._route(reference)
        resident = self._residents[route.serving] if route.serving else None
        if resident is None or resident.loaded is None:
            raise self._why_not(route)
        resident.loaded.pin()
        return resident.loaded

    async def follow(self, reference: ModelReference) -> None:
        """Follow a reference as a call would, and return at once. Raises what the store says of one that it does not have."""
        await self._route(reference)

    def successor(self, reference: ModelReference) -> Resident | None:
        """Return what is to take over from the version that answers for `reference`: on its way, or failed."""
        route = self._routes.get(reference)
        return self._residents.get(route.successor) if route and route.successor else None

    def resident(self, reference: ModelReference) -> Resident:
        """Return what is in memory for `reference`, answering or failed; loads nothing and keeps nothing from being forgotten.

        Raises ModelLoadingError if it is being loaded, VersionNotFoundError or AliasNotFoundError if it is not in memory.
        """
        found = [self._residents[version] for version in self._meant(reference) if version in self._residents]
        if not found:
            raise not_in_memory(reference)
        for resident in found:
            if resident.state not in (State.QUEUED, State.LOADING):
                return resident
        raise loading(found[-1].version)

    def point_aliases(self, model: str, targets: Mapping[str, VersionName]) -> None:
        """Take note of where the store says all aliases of a model point."""
        self._aliases[model] = dict(targets)
        for reference, route in self._routes.items():
            if isinstance(reference, AliasName) and reference.model == model and reference.alias in targets:
                route.target = targets[reference.alias]
        self._settle()

    def tick(self) -> None:
        """Do what only the passing of time asks for: follow no longer what nobody calls, and try failed versions again."""
        self._forget_routes()
        self._aliases = {model: known for model, known in self._aliases.items() if model in self.models}
        self._settle()

    async def close(self) -> None:
        """Unload everything; called when no call is in flight any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for resident in self.residents:
            self._forget(resident)

    async def _route(self, reference: ModelReference) -> Route:
        route = self._routes.get(reference)
        if route is None or route.target is None:
            version = await self._lookups.version(reference)
            new = new_route(reference, self._loop.time(), required=False)
            route = self._routes.setdefault(reference, new)
            route.target = route.target or version
            self._forget_routes()
            if isinstance(reference, AliasName):
                self._aliases.setdefault(reference.model, {})[reference.alias] = route.target
            self._settle()
        route.last_call_s = self._loop.time()
        return route

    def _forget_routes(self) -> None:
        """Follow no longer what nobody calls, nor more than may be followed."""
        idle = dispensable(
            self._routes.values(),
            self._loop.time(),
            idle_limit_s=self._idle_unload_s,
            most=self._on_demand_limit,
        )
        for reference in idle:
            _log.info("reference_forgotten", reference=str(reference))
            del self._routes[reference]

    def _meant(self, reference: ModelReference) -> list[VersionName]:
        """Return the versions that may answer for a reference, as far as is known here, the one that does first."""
        route = self._routes.get(reference)
        if route is not None:
            return [version for version in (route.serving, route.target) if version is not None]
        if isinstance(reference, VersionName):
            return [reference]
        known = self._aliases.get(reference.model, {})
        return [known[reference.alias]] if reference.alias in known else []

    def _why_not(self, route: Route) -> TagsmithError:
        resident = self._residents.get(route.target) if route.target else None
        if resident is not None and resident.error is not None:
            return resident.error.with_traceback(None)  # else it would grow by every raise
        return loading(route.target)

    def _settle(self) -> None:
        """Make memory follow the routes, as far as that goes without waiting."""
        now_s = self._loop.time()
        for version in wanted(self._routes.values()):
            resident = self._residents.get(version)
            if resident is None:
                self._residents[version] = Resident(version)
            elif resident.state is State.DRAINING:
                resident.step(Event.WANTED)
            elif resident.state is State.FAILED and now_s >= resident.retry_at_s:
                resident.step(Event.RETRIED)
        active = {version for version, each in self._residents.items() if each.state is State.ACTIVE}
        for route in self._routes.values():
            route.advance(active, now_s)
        still_wanted = wanted(self._routes.values())
        for resident in self.residents:
            if resident.state is State.ACTIVE and resident.version not in still_wanted:
                resident.step(Event.UNWANTED)
            if may_be_forgotten(resident.state, wanted=resident.version in still_wanted, pins=resident.pins):
                self._forget(resident)
        if not self._is_loading:
            self._load_next()
        self._on_change()

    def _load_next(self) -> None:
        """Begin the first load in the queue, required ones first."""
        required = wanted(route for route in self._routes.values() if route.required)
        queued = (each for each in self._residents.values() if each.state is State.QUEUED)
        resident = min(queued, key=lambda each: each.version not in required, default=None)
        if resident is not None:
            resident.step(Event.BEGUN)
            for route in self._routes.values():
                route.begin(resident.version, self._loop.time())
            self._is_loading = True
            self._begin(self._load(resident))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load(self, resident: Resident) -> None:
        version = resident.version
        started_s = self._loop.time()
        _log.info("model_loading", model_version=str(version))
        try:
            needed = await self._in_loading_thread(self._loader.footprint, version)
            self._make_room(version, needed)
            ready = await self._in_loading_thread(self._loader.load, version)
        except Exception as error:  # noqa: BLE001  # a version that cannot be loaded, for whatever reason, harms no other
            resident.fail(error, self._loop.time())
        else:
            model = ready.model
            resident.loaded = Loaded(model, ready.lane, needed, on_unpinned=lambda: self._note_idle(resident))
            resident.error, resident.failures = None, 0
            resident.step(Event.LOADED)
            resident.loaded.announce(self._loop.time() - started_s)
        self._is_loading = False
        self._settle()
        if not self._is_loading:  # what waits may need a copy that is there from before a restart
            self._begin(self._tidy())

    def _make_room(self, version: VersionName, needed: Footprint) -> None:
        """Forget what was called least recently until `needed` fits. Raises ModelNotLoadableError if it would not even so."""

        def would_take_bytes() -> int:
            return total_bytes([needed, *(each.loaded.footprint for each in self.residents if each.loaded)])

        in_use = {each.version for each in self.residents if each.pins}
        for route in evictable(self._routes.values(), in_use, self._loop.time()):
            if would_take_bytes() <= self._memory_budget_bytes:
                break
            if route.target != version:
                _log.info("reference_evicted", reference=str(route.reference))
                del self._routes[route.reference]
                self._settle()
        if would_take_bytes() > self._memory_budget_bytes:
            budget_bytes = int(self._memory_budget_bytes)
            raise does_not_fit(version, needed_bytes=would_take_bytes(), budget_bytes=budget_bytes)

    async def _in_loading_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.wrap_future(self._loading_thread.submit(work, *args, **kwargs))

    async def _tidy(self) -> None:
        in_memory = [each.loaded.model.manifest for each in self.residents if each.loaded is not None]
        try:
            await self._in_loading_thread(give_back)
            await self._in_loading_thread(self._loader.tidy, in_memory)
        except Exception as error:  # noqa: BLE001  # copies too many harm no caller; the next load tries again
            _log.warning("cache_not_tidied", exc_info=error)

    def _note_idle(self, resident: Resident) -> None:
        if resident.state is State.DRAINING:
            self._settle()

    def _forget(self, resident: Resident) -> None:
        del self._residents[resident.version]
        if resident.loaded is None:
            return
        model = resident.loaded.model
        version = resident.version
        metrics.LOADED_MODELS.remove(
            version.model, str(version.number), model.execution.precision, model.execution.provider
        )
        self._loading_thread.submit(model.close)
        self._loading_thread.submit(give_back)
        _log.info("model_unloaded", model_version=str(version))
