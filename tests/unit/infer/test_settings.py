"""Settings from the environment."""

from pathlib import Path

import pytest

from services.infer.settings import InferSettings
from shared.names import AliasName, VersionName
from shared.settings import SettingsInvalidError, read_settings


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGSMITH_STORE", "/var/tagsmith/store")
    monkeypatch.setenv("TAGSMITH_INFER_CACHE_DIR", "/var/tagsmith/cache")


def test_a_store_and_a_cache_are_enough() -> None:
    """Everything else has a default."""
    settings = read_settings(InferSettings)
    assert (settings.store, settings.cache_dir) == ("/var/tagsmith/store", Path("/var/tagsmith/cache"))
    assert (settings.port, settings.health_port, settings.metrics_port) == (50051, 50052, 50053)
    assert settings.required == ()
    assert not settings.allow_empty


def test_required_models_are_a_comma_separated_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spaces and repetitions do no harm."""
    monkeypatch.setenv("TAGSMITH_INFER_REQUIRED_MODELS", "banking, banking@production ,names@7,")
    assert read_settings(InferSettings).required == (
        AliasName("banking", "production"),
        VersionName("names", 7),
    )


def test_every_bad_value_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator mends them in one go: each variable by its name, good ones not at all."""
    monkeypatch.delenv("TAGSMITH_STORE")
    monkeypatch.setenv("TAGSMITH_INFER_PORT", "70000")
    monkeypatch.setenv("TAGSMITH_INFER_HEALTH_PORT", "50052")
    monkeypatch.setenv("TAGSMITH_INFER_PROVIDER", "tpu")
    monkeypatch.setenv("TAGSMITH_INFER_REQUIRED_MODELS", "banking,Not A Name")
    with pytest.raises(SettingsInvalidError) as caught:
        read_settings(InferSettings)
    message = str(caught.value)
    for variable in ("STORE", "INFER_PORT", "INFER_PROVIDER", "INFER_REQUIRED_MODELS"):
        assert f"TAGSMITH_{variable}: " in message
    assert "HEALTH_PORT" not in message
    assert "Not A Name" in message
