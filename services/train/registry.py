"""What the registry answers, read from the model store page by page. Blocks; any thread may call."""

from dataclasses import dataclass

from services.train.pages import PageRequest, page_of
from services.train.reasons import BLANK_REASON, MOST_REASON_CHARACTERS, is_blank
from shared.errors import (
    ArtifactCorruptError,
    FieldInvalidError,
    ModelNotFoundError,
    ModelNotLoadableError,
    TagsmithError,
)
from shared.names import VersionName, check_id, parse_reference
from shared.store.aliases import AliasRecord
from shared.store.manifest import Manifest
from shared.store.models import ModelStore

MOST_ACTOR_CHARACTERS = 256
_MOST_VERSION = 9_999_999

VersionSummary = tuple[Manifest, list[AliasRecord]]  # the version, the aliases of its model that can be read


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """A model, as far as its records can be read."""

    name: str
    versions: list[int]  # ascending
    aliases: list[AliasRecord]  # by name
    damage: TagsmithError | None  # of the first alias that is not among `aliases`, or of all its versions


@dataclass(frozen=True, slots=True)
class UnreadableVersion:
    """A version that is there and whose manifest cannot be read."""

    name: VersionName
    damage: TagsmithError


class Registry:
    """The model store as callers see it."""

    def __init__(self, models: ModelStore) -> None:
        """`models` is shown, and its aliases are moved."""
        self._models = models

    def list_models(self, page: PageRequest) -> tuple[list[ModelSummary], str]:
        """Return a page of models, by name, and the next page's token."""
        names, token = page_of(self._models.models(), page, key=str, default=100)
        return [self._summary(name) for name in names], token

    def version(self, reference: str) -> VersionSummary:
        """Return the version that a reference means. Raises NameMalformedError and the three NOT_FOUNDs."""
        version = self._models.resolve(parse_reference(reference, field="model_version"))
        return self._models.manifest(version), self._models.aliases(version.model).records

    def list_versions(
        self, model: str, page: PageRequest
    ) -> tuple[list[VersionSummary | UnreadableVersion], str]:
        """Return a page of a model's versions, newest first. Raises ModelNotFoundError."""
        numbers = self._models.versions(check_id(model, field="model"))[::-1]
        numbers, token = page_of(numbers, page, key=int, default=50, descending=True)
        aliases = self._models.aliases(model).records
        return [self._version(VersionName(model, number), aliases) for number in numbers], token

    def set_alias(
        self,
        model: str,
        alias: str,
        version: int,
        *,
        expected: int | None,
        actor: str,
        reason: str,
        override_reason: str = "",
    ) -> AliasRecord:
        """Move an alias; see ModelStore.set_alias. An `override_reason` overrides quality gates; FieldInvalidError where it says nothing."""
        check_id(model, field="model")
        check_id(alias, field="alias")
        _check_within("version", version, 1, _MOST_VERSION)
        _check_within("expected_version", expected or 0, 0, _MOST_VERSION)
        _check_within("actor", len(actor), 0, MOST_ACTOR_CHARACTERS)
        _check_within("reason", len(reason), 0, MOST_REASON_CHARACTERS)
        _check_within("override_reason", len(override_reason), 0, MOST_REASON_CHARACTERS)
        if is_blank(override_reason):
            raise FieldInvalidError(
                f"override_reason: {BLANK_REASON}.", field="override_reason", value=ascii(override_reason)
            )
        return self._models.set_alias(
            model,
            alias,
            version,
            expected=expected,
            actor=actor,
            reason=override_reason or reason,
            overrides_gates=bool(override_reason),
        )

    def alias_history(self, model: str, alias: str, page: PageRequest) -> tuple[list[AliasRecord], str]:
        """Return a page of an alias's moves, newest first. Raises ModelNotFoundError, AliasNotFoundError."""
        moves = self._models.alias_history(check_id(model, field="model"), check_id(alias, field="alias"))
        return page_of(moves, page, key=lambda move: move.sequence, default=50, descending=True)

    def _summary(self, model: str) -> ModelSummary:
        try:
            aliases = self._models.aliases(model)
            return ModelSummary(model, self._models.versions(model), *aliases)
        except ModelNotFoundError as error:  # its folder is there, and nothing of a version in it
            return ModelSummary(model, [], [], error)

    def _version(
        self, version: VersionName, aliases: list[AliasRecord]
    ) -> VersionSummary | UnreadableVersion:
        try:
            return self._models.manifest(version), aliases
        except (ArtifactCorruptError, ModelNotLoadableError) as error:
            return UnreadableVersion(version, error)


def _check_within(field: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise FieldInvalidError(
            f"{field}: {value} is not within [{least}, {most}].", field=field, value=value
        )
