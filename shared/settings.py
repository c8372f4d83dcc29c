"""How both services read their settings: from the environment, every bad value in one error, nothing at import."""

from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings

Port = Annotated[int, Field(ge=0, le=65535)]  # 0: any free one; the bound one stands in the log event `ready`
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

S = TypeVar("S", bound=BaseSettings)


class SettingsInvalidError(Exception):
    """The environment cannot be used; the message names every bad variable. For operators at start, never for callers."""


def read_settings(kind: type[S]) -> S:
    """Read the environment into `kind`. Raises SettingsInvalidError with every bad value."""
    prefix = str(kind.model_config.get("env_prefix", ""))
    try:
        return kind()
    except ValidationError as error:
        problems = (
            f"{_variable(each['loc'], prefix)}: {each['msg']}" for each in error.errors(include_input=False)
        )
        raise SettingsInvalidError("\n".join(("settings cannot be used:", *problems))) from error


def _variable(location: tuple[int | str, ...], prefix: str) -> str:
    name = str(location[0]) if location else ""
    return name if name.isupper() else f"{prefix}{name.upper()}"  # an alias is the variable's own name
