"""Brings a version from the store to readiness: fetched, every digest verified, golden examples answered, proved, warm.

Blocking; runs in the loading thread, one version at a time, so that loading takes at most one core from answering.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Protocol

from services.infer.cost import CostGrid, faster
from services.infer.residency.footprint import Footprint, footprint
from services.infer.residency.lanes import Lane, Lanes
from services.infer.residency.measuring import Measuring
from services.infer.residency.proving import prove
from shared.errors import ModelNotLoadableError, TagsmithError, VersionRejectedError
from shared.names import VersionName
from shared.runtime.execution import Execution
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.store.cache import FileCache
from shared.store.manifest import Manifest
from shared.store.models import ModelStore
from shared.telemetry.logs import get_logger

_log = get_logger()

_WARM_TEXT = "warm "
_WARM_TOKENS = (8, 64, 1_000_000)  # short, usual, as long as the window allows


@dataclass(frozen=True, slots=True)
class Ready:
    """A version that can answer, and what its windows run on."""

    model: Model
    lane: Lane


class Loader(Protocol):
    """What residency needs of the one that loads."""

    def footprint(self, version: VersionName) -> Footprint:
        """Estimate the memory of a version. Raises TagsmithError for what an operator can understand."""

    def load(self, version: VersionName) -> Ready:
        """Return a version ready to answer. Raises TagsmithError for what an operator can understand."""

    def tidy(self, in_memory: Collection[Manifest]) -> None:
        """Free what was needed to load versions other than these. Raises StoreUnavailableError."""


@dataclass(frozen=True, slots=True)
class StoreLoader:
    """Loads from a store through a cache of verified files."""

    models: ModelStore
    cache: FileCache
    parts: Parts
    lanes: Lanes
    measuring: Measuring
    executions: Sequence[Execution]  # where a version has their graphs; the last is the last resort
    by_speed: bool  # whether to try first what is measured to be fastest, or else in their order
    batch_tokens: int  # the largest batch that will be asked for

    def footprint(self, version: VersionName) -> Footprint:
        """As Loader.footprint; of the ways to run it, the one that takes most."""
        manifest = self.models.manifest(version)
        footprints = [footprint(manifest, each) for each in self._possible(manifest)]
        return max(footprints, key=lambda parts: sum(parts.values()))

    def load(self, version: VersionName) -> Ready:
        """As Loader.load."""
        manifest = self.models.manifest(version)
        if manifest.state == "rejected":
            raise VersionRejectedError(f"{version} was rejected by its gate.", model_version=str(version))
        *others, last = self._candidates(manifest)
        for execution in others:
            with _giving_way(manifest, execution):
                return self._load(manifest, execution)
        return self._load(manifest, last)

    def _possible(self, manifest: Manifest) -> list[Execution]:
        return [each for each in self.executions if each.variant in manifest.variants]

    def _candidates(self, manifest: Manifest) -> list[Execution]:
        """Return what to try for a version, the best first."""
        possible = self._possible(manifest)
        if not self.by_speed or len(possible) == 1:
            return possible
        grids: dict[Execution, CostGrid] = {}
        for execution in possible:
            with _giving_way(manifest, execution):
                grids[execution] = self._costs(manifest, execution)
        last = possible[-1]
        return [*faster(grids, last), last] if last in grids else [last]

    def _costs(self, manifest: Manifest, execution: Execution) -> CostGrid:
        known = self.measuring.known(manifest, execution)
        if known is not None:
            return known
        with closing(Model.load(manifest, self.parts, execution)) as model:
            return self.measuring.costs(model)

    def _load(self, manifest: Manifest, execution: Execution) -> Ready:
        """Load, and let nothing serve that answers otherwise than it should."""
        model = Model.load(manifest, self.parts, execution)
        try:
            model.check_golden()
            if not execution.is_gated:
                gated = Execution(threads=execution.threads, runs=execution.runs)
                with closing(Model.load(manifest, self.parts, gated)) as reference:
                    prove(model, reference)
            self._warm(model)
            return Ready(model, self.lanes.lane(model))
        except BaseException:
            model.close()
            raise

    def tidy(self, in_memory: Collection[Manifest]) -> None:
        """As Loader.tidy: keep the local copies of these versions' files, for a restart, and no others."""
        self.cache.keep_only({file.digest for manifest in in_memory for file in manifest.files})

    def _warm(self, model: Model) -> None:
        """Run windows of several lengths, alone and as the largest batch: the first run of a size costs several times the later
        ones.
        """
        longest = model.manifest.tokenization.max_tokens
        for tokens in _WARM_TOKENS:
            (encoded,) = model.encode([_WARM_TEXT * min(tokens, longest)])
            window = encoded.windows[0]
            for count in {1, max(1, self.batch_tokens // window.token_count)}:
                model.run([window] * count)


@contextmanager
def _giving_way(manifest: Manifest, execution: Execution) -> Iterator[None]:
    """Tell of an execution that fails here, and go on to the next: the store's own faults apart, which would be the next one's too.

    Such as a golden example that this processor rounds otherwise, or a shape at which a provider breaks.
    """
    try:
        yield
    except Exception as error:
        is_unforeseen = not isinstance(error, TagsmithError)
        if not is_unforeseen and not isinstance(error, ModelNotLoadableError):
            raise
        _log.warning(
            "variant_not_loadable",
            model_version=str(manifest.version),
            variant=execution.precision,
            execution_provider=execution.provider,
            cause=error.message if isinstance(error, TagsmithError) else type(error).__name__,
            exc_info=error if is_unforeseen else None,
        )
