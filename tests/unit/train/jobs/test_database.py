"""What is said of a database that cannot be used; what one that can does is shown by the contract suite."""

from importlib import util

import pytest

from services.train.jobs import database as database_module
from services.train.jobs.database import Database
from shared.errors import StoreUnavailableError


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "its URL cannot be read"),
        ("postgresql://user:secret@host:port/name", "its URL cannot be read"),
        ("mysql://user:secret@host/name", "neither sqlite:// nor postgresql://"),
    ],
)
def test_a_url_that_is_none_is_told_without_its_password(url: str, words: str) -> None:
    """The error says what is wrong with it, and none of it."""
    with pytest.raises(StoreUnavailableError, match=words) as raised:
        Database(url)
    assert "secret" not in str(raised.value)


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PostgreSQL's driver the error says what to install."""
    monkeypatch.setattr(
        database_module, "find_spec", lambda name: None if name == "psycopg" else util.find_spec(name)
    )
    with pytest.raises(StoreUnavailableError, match="the extra `postgres`"):
        Database("postgresql://user@host/name")
