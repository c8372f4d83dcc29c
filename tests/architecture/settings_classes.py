"""The settings of both services by the names of their environment variables."""

import os
from unittest.mock import patch

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from services.infer.settings import InferSettings
from services.train.settings import TrainSettings

SETTINGS: dict[str, type[BaseSettings]] = {"infer": InferSettings, "train": TrainSettings}


def variables(service: str) -> dict[str, FieldInfo]:
    """Return the fields of a service's settings by the variables that set them."""
    kind = SETTINGS[service]
    prefix = kind.model_config.get("env_prefix", "")
    fields = kind.model_fields.items()
    return {str(field.validation_alias or f"{prefix}{name}").upper(): field for name, field in fields}


def settings_of(service: str, environment: dict[str, str]) -> BaseSettings:
    """Return a service's settings as a process with this environment, and nothing else, reads them."""
    with patch.dict(os.environ, environment, clear=True):
        return SETTINGS[service]()
