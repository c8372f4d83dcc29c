"""Brings a version from the store to readiness: fetched, every digest verified, golden examples answered, warm.

Blocking; runs in the loading thread, one version at a time, so that loading takes at most one core from answering.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.infer.residency.footprint import Footprint, footprint
from services.infer.residency.lanes import Lane, Lanes
from shared.errors import ModelNotLoadableError, VersionRejectedError
from shared.names import VersionName
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.store.cache import FileCache
from shared.store.manifest import Manifest, VariantName
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
    variants: Sequence[VariantName]  # to try in this order, where a version has them; fp32 comes last
    batch_tokens: int  # the largest batch that will be asked for

    def footprint(self, version: VersionName) -> Footprint:
        """As Loader.footprint, for the variant that is tried first."""
        manifest = self.models.manifest(version)
        return footprint(manifest, next(each for each in self.variants if each in manifest.variants))

    def load(self, version: VersionName) -> Ready:
        """As Loader.load."""
        manifest = self.models.manifest(version)
        if manifest.state == "rejected":
            raise VersionRejectedError(f"{version} was rejected by its gate.", model_version=str(version))
        for variant in (each for each in self.variants if each in manifest.variants and each != "fp32"):
            try:
                return self._load_variant(manifest, variant)
            except ModelNotLoadableError as error:
                # Such as a golden example that this processor rounds otherwise.
                _log.warning(
                    "variant_not_loadable", model_version=str(version), variant=variant, cause=error.message
                )
        return self._load_variant(manifest, "fp32")

    def _load_variant(self, manifest: Manifest, variant: VariantName) -> Ready:
        model = Model.load(manifest, self.parts, variant=variant)
        try:
            model.check_golden()
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
