"""The way back, in the store."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.train.reasons import MOST_REASON_CHARACTERS
from services.train.rollout.outcomes import ROLLBACK_REASON, Failed, Superseded
from services.train.rollout.rollback import PromotedAlias
from shared.errors import AliasNotFoundError, Problem, StoreUnavailableError
from shared.names import AliasName, VersionName
from shared.store import layout
from shared.store.aliases import AliasRecord
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from tests.tiny import publish_tiny

PRODUCTION = AliasName("support", "production")
V1, V2, V3 = (VersionName("support", number) for number in (1, 2, 3))
JOB = "job-0123456789abcdef"
PROBLEMS = (
    Problem("10.0.0.1:50051", "refused support@2."),
    Problem("10.0.0.2:50051", "refused support@2 too."),
)


class Objects(MemoryStore):
    """A store that can be away for writers."""

    away = False

    def create(self, key: str, data: bytes) -> None:
        if self.away:
            raise StoreUnavailableError("away", operation="create")
        super().create(key, data)


@pytest.fixture
def objects() -> Objects:
    """An empty store."""
    return Objects()


@pytest.fixture
def models(objects: Objects, tmp_path: Path) -> ModelStore:
    """Three versions; no alias."""
    models = ModelStore(objects)
    for _ in range(3):
        publish_tiny(models, "support", "classification", scratch=tmp_path)
    return models


def move(models: ModelStore, version: VersionName, actor: str = "ops") -> None:
    """Move production."""
    models.set_alias("support", "production", version.number, expected=None, actor=actor, reason="r")


def history(models: ModelStore) -> list[tuple[int, str]]:
    """Versions and actors, oldest first."""
    return [(each.version, each.actor) for each in models.alias_history("support", "production")][::-1]


def promoted(models: ModelStore, version: VersionName = V2) -> PromotedAlias:
    """The job's view."""
    return PromotedAlias(models, version, PRODUCTION, JOB)


def begun(alias: PromotedAlias) -> AliasRecord:
    """Begin where nothing has ended the rollout."""
    promotion = alias.begin()
    assert isinstance(promotion, AliasRecord)
    return promotion


def test_the_alias_goes_back_to_where_it_was(models: ModelStore) -> None:
    """By the job, with the reason of every address; the error tells a caller the same."""
    move(models, V1)
    move(models, V2, JOB)
    alias = promoted(models)
    promotion = begun(alias)
    assert alias.since(promotion) is None
    failed = alias.roll_back(promotion, "it was refused.", PROBLEMS)
    assert failed == Failed(V2, PRODUCTION, "it was refused.", PROBLEMS, V1)
    newest = models.alias("support", "production")
    assert (newest.version, newest.actor) == (1, JOB)
    assert newest.reason == (
        f"{ROLLBACK_REASON}: it was refused. "
        "10.0.0.1:50051 refused support@2; 10.0.0.2:50051 refused support@2 too."
    )
    error = failed.error()
    assert error.message.startswith(
        "support@2 did not go live: it was refused. support@production points back to support@1."
    )
    assert error.metadata["back_to"] == "support@1"
    assert error.metadata["addresses"] == "10.0.0.1:50051,10.0.0.2:50051"
    assert error.problems == PROBLEMS


def test_a_rollback_is_made_once_and_found_again(models: ModelStore) -> None:
    """By a second call, by a call that runs beside the first one, and after somebody has moved the alias on."""
    move(models, V1)
    move(models, V2, JOB)
    promotion = begun(promoted(models))
    promoted(models).roll_back(promotion, "it was refused.", PROBLEMS)
    beside = promoted(models).roll_back(promotion, "another reason", ())
    after = promoted(models).begin()
    assert isinstance(after, Failed)
    assert (after.back_to, after.problems) == (V1, ())
    assert "it was refused. 10.0.0.1:50051 refused support@2" in after.error().message
    assert beside == after
    move(models, V3)
    assert promoted(models).begin() == after
    assert history(models) == [(1, "ops"), (2, JOB), (1, JOB), (3, "ops")]


def test_racing_rollbacks_make_one_move(models: ModelStore) -> None:
    """All of them end as one."""
    move(models, V1)
    move(models, V2, JOB)
    promotion = begun(promoted(models))
    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(lambda _: promoted(models).roll_back(promotion, "why.", ()), range(8)))
    assert {(type(end), end.back_to if isinstance(end, Failed) else None) for end in ends} == {(Failed, V1)}
    assert history(models) == [(1, "ops"), (2, JOB), (1, JOB)]


@pytest.mark.parametrize("path", [(V3,), (V1,), (V3, V2)], ids=["on", "back", "on and back to ours"])
def test_an_alias_that_somebody_has_moved_is_not_touched(
    models: ModelStore, path: tuple[VersionName, ...]
) -> None:
    """Wherever to, even to our own version: whoever did that has decided."""
    move(models, V1)
    move(models, V2, JOB)
    alias = promoted(models)
    promotion = begun(alias)
    for version in path:
        move(models, version)
    moves = history(models)
    superseded = Superseded(V2, path[-1])
    assert alias.since(promotion) == superseded
    assert alias.roll_back(promotion, "why.", ()) == superseded
    assert promoted(models).begin() == superseded
    assert history(models) == moves


def test_a_move_amid_the_rollback_wins(models: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's compare-and-set sees what came after our look."""
    move(models, V1)
    move(models, V2, JOB)
    alias = promoted(models)
    promotion = begun(alias)
    set_alias = models.set_alias

    def late(*args: object, **kwargs: object) -> object:
        monkeypatch.undo()
        move(models, V3)
        return set_alias(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(models, "set_alias", late)
    assert alias.roll_back(promotion, "why.", ()) == Superseded(V2, V3)
    assert history(models) == [(1, "ops"), (2, JOB), (3, "ops")]


def test_a_first_version_stays_where_it_is(models: ModelStore) -> None:
    """There is nothing to go back to, and the outcome says so."""
    move(models, V2, JOB)
    alias = promoted(models)
    failed = alias.roll_back(begun(alias), "why.", PROBLEMS)
    assert isinstance(failed, Failed)
    assert failed.back_to is None
    assert "support@production still points to support@2: it pointed nowhere before" in failed.error().message
    assert failed.error().metadata["back_to"] == ""
    assert history(models) == [(2, JOB)]


def test_a_version_before_that_is_gone_is_no_way_back(models: ModelStore, objects: Objects) -> None:
    """The alias stays, and the outcome says why."""
    move(models, V1)
    move(models, V2, JOB)
    objects.delete(layout.manifest(V1))
    alias = promoted(models)
    failed = alias.roll_back(begun(alias), "why.", ())
    assert isinstance(failed, Failed)
    assert (failed.back_to, failed.obstacle) == (None, "support@1 does not exist")


def test_a_store_that_is_away_is_told(models: ModelStore, objects: Objects) -> None:
    """The rollback is not given up: whoever called calls again, and it is made."""
    move(models, V1)
    move(models, V2, JOB)
    alias = promoted(models)
    promotion = begun(alias)
    objects.away = True
    with pytest.raises(StoreUnavailableError):
        alias.roll_back(promotion, "why.", ())
    objects.away = False
    assert isinstance(alias.roll_back(promotion, "why.", ()), Failed)


def test_a_version_that_somebody_else_had_promoted_is_followed_too(models: ModelStore) -> None:
    """The job's own move made no record, since the alias pointed there already."""
    move(models, V1)
    move(models, V2, "ops")
    move(models, V2, JOB)
    alias = promoted(models)
    failed = alias.roll_back(begun(alias), "why.", ())
    assert isinstance(failed, Failed)
    assert history(models) == [(1, "ops"), (2, "ops"), (1, JOB)]


def test_an_older_record_that_cannot_be_read_stands_in_nobodys_way(
    models: ModelStore, objects: Objects
) -> None:
    """The newest one says where the alias was before."""
    move(models, V3)
    move(models, V1)
    move(models, V2, JOB)
    objects.delete(layout.numbered(layout.alias("support", "production"), 1))
    assert begun(promoted(models)).previous == 1


def test_an_alias_that_was_never_moved_is_a_callers_mistake(models: ModelStore) -> None:
    """It is told as the store tells it."""
    with pytest.raises(AliasNotFoundError):
        promoted(models).begin()


def test_a_long_story_fits_into_the_record(models: ModelStore) -> None:
    """Of a hundred addresses the first ones are in the alias's history, and all in the error."""
    move(models, V1)
    move(models, V2, JOB)
    alias = promoted(models)
    many = tuple(Problem(f"10.0.0.{number}:50051", "refused " + "x" * 300) for number in range(100))
    failed = alias.roll_back(begun(alias), "why.", many)
    assert isinstance(failed, Failed)
    assert len(models.alias("support", "production").reason) == MOST_REASON_CHARACTERS
    assert len(failed.error().problems) == 100
