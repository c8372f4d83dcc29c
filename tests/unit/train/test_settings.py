"""What the environment may set."""

from pathlib import Path

import pytest

from services.train.settings import TrainSettings
from shared.settings import SettingsInvalidError, read_settings

NEEDED = {"TAGSMITH_STORE": "/store", "TAGSMITH_TRAIN_STATE_DIR": "/state"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is needed is set."""
    for name in ("TAGSMITH_BASES_DIR", "TAGSMITH_TRAIN_DATASET_ROOTS", "TAGSMITH_TRAIN_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)


def test_two_folders_are_enough() -> None:
    """With a store and a state folder the service starts on its own ports of this machine, and reads no other file."""
    settings = read_settings(TrainSettings)
    assert (settings.host, settings.port, settings.health_port, settings.metrics_port) == (
        "127.0.0.1",
        50061,
        50062,
        50063,
    )
    assert (settings.dataset_roots, settings.bases_dir, settings.max_concurrent_jobs) == ((), None, 1)
    assert settings.max_dataset_bytes == 256 * 1024 * 1024
    assert settings.trainer_threads >= 1


def test_roots_are_a_path_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Roots are separated as in PATH; an empty value allows none."""
    monkeypatch.setenv("TAGSMITH_TRAIN_DATASET_ROOTS", "/a:/b/c:")
    assert read_settings(TrainSettings).dataset_roots == (Path("/a"), Path("/b/c"))
    monkeypatch.setenv("TAGSMITH_TRAIN_DATASET_ROOTS", "")
    assert read_settings(TrainSettings).dataset_roots == ()


def test_buckets_are_prefixes_of_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefixes are separated by commas; a credential in one is refused."""
    monkeypatch.setenv("TAGSMITH_TRAIN_DATASET_BUCKETS", "s3://a/b,gs://c/")
    assert read_settings(TrainSettings).dataset_buckets == ("s3://a/b", "gs://c/")
    for bad in ("s3://", "s3:///b", "s3://key:secret@a/b", "http://a/b"):
        monkeypatch.setenv("TAGSMITH_TRAIN_DATASET_BUCKETS", bad)
        with pytest.raises(SettingsInvalidError) as raised:
            read_settings(TrainSettings)
        assert "secret" not in str(raised.value)


def test_every_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One error names all variables that are missing or bad."""
    monkeypatch.setenv("TAGSMITH_STORE", "ftp://host/store")
    monkeypatch.setenv("TAGSMITH_TRAIN_PORT", "70000")
    monkeypatch.setenv("TAGSMITH_TRAIN_DATASET_ROOTS", "relative")
    monkeypatch.setenv("TAGSMITH_TRAIN_DATASET_BUCKETS", "s3://a/b,/local")
    with pytest.raises(SettingsInvalidError) as raised:
        read_settings(TrainSettings)
    for name in (
        "TAGSMITH_STORE",
        "TAGSMITH_TRAIN_PORT",
        "TAGSMITH_TRAIN_DATASET_ROOTS",
        "TAGSMITH_TRAIN_DATASET_BUCKETS",
    ):
        assert name in str(raised.value)
