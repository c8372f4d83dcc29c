"""Aliases: G5 (moves are linear, a lost race is reported) on every adapter."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import (
    AliasConflictError,
    AliasNotFoundError,
    ArtifactCorruptError,
    NameMalformedError,
    VersionNotFoundError,
    VersionRejectedError,
)
from shared.names import AliasName, VersionName
from shared.store import layout
from shared.store.aliases import AliasLog, AliasRecord
from shared.store.models import ModelStore
from shared.store.port import ObjectStore
from shared.store.records import seal, unseal
from tests.contract.store.conftest import MakeStore
from tests.contract.store.publishing import publish_small
from tests.contract.store.racing import race


@pytest.fixture
def log(objects: ObjectStore) -> AliasLog:
    """Return the aliases alone, which know nothing of versions."""
    return AliasLog(objects)


def _move(log: AliasLog, version: int, expected: int | None, actor: str = "ann") -> AliasRecord:
    return log.move("banking", "production", version, expected=expected, actor=actor, reason="test")


@pytest.mark.parametrize("expected", [1, None])
def test_g5_sixteen_movers_one_winner(log: AliasLog, expected: int | None) -> None:
    """G5: 16 movers start from one state: one wins, the others get ALIAS_CONFLICT, the history is linear."""
    _move(log, 1, 0)
    outcomes = race(16, lambda number: _move(log, number + 2, expected, str(number)))
    winners = [outcome for outcome in outcomes if isinstance(outcome, AliasRecord)]
    losers = [outcome for outcome in outcomes if isinstance(outcome, AliasConflictError)]
    history = log.history("banking", "production")
    if expected is None:  # each moves from wherever the alias is: one after another, several may get through
        assert len(winners) >= 1
    else:
        assert len(winners) == 1
        assert {loser.metadata["current"] for loser in losers} == {str(winners[0].version)}
    assert len(winners) + len(losers) == 16
    assert history[:-1] == sorted(winners, key=lambda record: -record.sequence)
    assert [record.previous for record in history] == [record.version for record in history[1:]] + [0]


def test_g5_movers_to_one_version(log: AliasLog) -> None:
    """G5: also where all movers want the same version, only one moved the alias and the others hear so."""
    _move(log, 1, 0)
    outcomes = race(16, lambda number: _move(log, 2, 1, str(number)))
    assert sum(isinstance(outcome, AliasRecord) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, AliasConflictError) for outcome in outcomes) == 15
    assert len(log.history("banking", "production")) == 2


def test_g5_a_stale_mover_is_refused(log: AliasLog) -> None:
    """G5: who believes the alias is elsewhere, or absent, is told where it is; nothing moves."""
    _move(log, 1, 0)
    _move(log, 2, 1)
    for expected in (0, 1, 3):
        with pytest.raises(AliasConflictError) as caught:
            _move(log, 4, expected)
        assert caught.value.metadata == {"model": "banking", "alias": "production", "current": "2"}
    assert log.current("banking", "production").version == 2


def test_an_alias_that_is_there_already(log: AliasLog) -> None:
    """Setting an alias to where it points adds no record and returns the one that stands."""
    first = _move(log, 1, 0)
    assert _move(log, 1, None) == first
    assert _move(log, 1, 1, "bob") == first
    assert log.history("banking", "production") == [first]


def test_a_record_says_everything(log: AliasLog) -> None:
    """A move keeps who, why, when, from where and its own number."""
    _move(log, 1, 0)
    record = _move(log, 2, 1, "job-3f9a1c")
    assert (record.model, record.alias, record.sequence) == ("banking", "production", 2)
    assert (record.version, record.previous, record.actor, record.reason) == (2, 1, "job-3f9a1c", "test")
    assert record.time.utcoffset() is not None
    assert log.current("banking", "production") == record


MOVES = st.lists(st.tuples(st.integers(1, 4), st.one_of(st.none(), st.integers(0, 4))), max_size=8)


@settings(max_examples=25, deadline=None)
@given(moves=MOVES)
def test_an_alias_is_a_list(make_store: MakeStore, moves: list[tuple[int, int | None]]) -> None:
    """Any run of expected and unexpected moves leaves the history that a compare-and-set list has."""
    log, model = AliasLog(make_store()), [0]
    for version, expected in moves:
        if expected not in (None, model[-1]):
            with pytest.raises(AliasConflictError):
                _move(log, version, expected)
            continue
        assert _move(log, version, expected).version == version
        if version != model[-1]:
            model.append(version)
    if len(model) == 1:
        with pytest.raises(AliasNotFoundError):
            log.history("banking", "production")
    else:
        history = log.history("banking", "production")
        assert [record.version for record in reversed(history)] == model[1:]
        assert [record.sequence for record in reversed(history)] == list(range(1, len(model)))


def test_aliases_point_to_versions_that_may_be_served(store: ModelStore, tmp_path: Path) -> None:
    """No alias moves to a rejected version, to one that is only reserved, or to none at all."""
    publish_small(store, tmp_path)
    publish_small(store, tmp_path, state="rejected")
    store.reserve("banking", "job-c")
    with pytest.raises(VersionRejectedError) as caught:
        store.set_alias("banking", "production", 2, expected=None, actor="", reason="")
    assert caught.value.metadata == {"model_version": "banking@2"}
    for number in (3, 4):
        with pytest.raises(VersionNotFoundError):
            store.set_alias("banking", "production", number, expected=None, actor="", reason="")
    assert store.aliases("banking").records == []


def test_references_resolve(store: ModelStore, tmp_path: Path) -> None:
    """An alias resolves to where it points now; promotion and rollback are moves; a number is itself."""
    publish_small(store, tmp_path)
    publish_small(store, tmp_path)
    production = AliasName("banking", "production")
    for number, expected in ((1, 0), (2, 1), (1, 2)):
        store.set_alias("banking", "production", number, expected=expected, actor="", reason="")
        assert store.resolve(production) == VersionName("banking", number)
    assert store.resolve(VersionName("banking", 7)) == VersionName("banking", 7)
    with pytest.raises(AliasNotFoundError) as caught:
        store.resolve(AliasName("banking", "canary"))
    assert caught.value.metadata == {"model": "banking", "alias": "canary"}
    store.set_alias("banking", "canary", 2, expected=0, actor="", reason="")
    assert [record.alias for record in store.aliases("banking").records] == ["canary", "production"]
    assert [record.version for record in store.alias_history("banking", "production")] == [1, 2, 1]


@pytest.mark.parametrize("alias", ["", "7", "../production", "a/b", "Production"])
def test_alias_names_are_checked(log: AliasLog, alias: str) -> None:
    """What is not an alias name never reaches the store."""
    with pytest.raises(NameMalformedError):
        log.move("banking", alias, 1, expected=None, actor="", reason="")


def test_damaged_histories_are_reported(objects: ObjectStore, log: AliasLog, tmp_path: Path) -> None:
    """A record that is cut, copied from another place, or does not follow from the one before it is DATA_LOSS with its key."""
    for version in (1, 2, 3):
        _move(log, version, version - 1)
    second = layout.numbered(layout.alias("banking", "production"), 2)
    good = objects.read(second)
    record = unseal(second, good)
    damaged = [
        good[:-3],
        good.replace(b'"version":2', b'"version":3'),
        seal(record.replace(b'"sequence":2', b'"sequence":3')),
        seal(record.replace(b'"version":2', b'"version":8')),
        seal(record.replace(b'"version":2', b'"version":-2')),
    ]
    for data in damaged:
        file = tmp_path / "record"
        file.write_bytes(data)
        objects.put(second, file)
        with pytest.raises(ArtifactCorruptError) as caught:
            log.history("banking", "production")
        assert "aliases/production/0000000" in caught.value.metadata["key"]


def test_a_gap_in_a_history_is_reported(objects: ObjectStore, log: AliasLog) -> None:
    """A history whose earlier record is gone is DATA_LOSS; where the alias points can still be read."""
    record = AliasRecord(
        model="banking",
        alias="production",
        sequence=2,
        version=2,
        previous=1,
        actor="",
        reason="",
        time=datetime(2026, 1, 1, tzinfo=UTC),
    )
    key = layout.numbered(layout.alias("banking", "production"), 2)
    objects.create(key, seal(record.model_dump_json().encode()))
    assert log.current("banking", "production").version == 2
    with pytest.raises(ArtifactCorruptError):
        log.history("banking", "production")


def test_no_alias_moves_to_a_version_without_its_files(
    store: ModelStore, objects: ObjectStore, tmp_path: Path
) -> None:
    """A version one of whose blobs is gone is refused where it is promoted, not where it is loaded."""
    version = publish_small(store, tmp_path)
    present = objects.exists

    def gone(key: str) -> bool:
        return not key.startswith("blobs/") and present(key)

    objects.exists = gone  # type: ignore[method-assign]
    with pytest.raises(ArtifactCorruptError) as caught:
        store.set_alias("banking", "production", version.number, expected=0, actor="", reason="")
    assert caught.value.metadata["found"] == "nothing"
    assert store.aliases("banking").records == []
