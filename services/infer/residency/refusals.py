"""What callers are told of a reference that does not answer now. Pure."""

from shared.errors import AliasNotFoundError, ModelLoadingError, TagsmithError, VersionNotFoundError
from shared.names import ModelReference, VersionName


def loading(version: VersionName | None) -> ModelLoadingError:
    """The version is on its way."""
    return ModelLoadingError(f"{version} is being loaded: try again in a moment.", model_version=str(version))


def not_in_memory(reference: ModelReference) -> TagsmithError:
    """Nobody has called it, so that there is nothing to tell of it."""
    message = f"{reference} is not in this server's memory: a first call loads it, if the store has it."
    if isinstance(reference, VersionName):
        return VersionNotFoundError(message, model=reference.model, version=reference.number)
    return AliasNotFoundError(message, model=reference.model, alias=reference.alias)
