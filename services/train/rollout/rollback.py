"""The alias of a rollout in the store: where it stands, and the way back.

Blocks; any thread may call. Invariants: an alias that anybody has moved since is not touched, which the store's compare-and-set
guards against races; a job moves it back once, and a call that is repeated finds the job's own record.
"""

from dataclasses import dataclass

from services.train.rollout.outcomes import Failed, Superseded, rollback_reason, why_rolled_back
from shared.errors import (
    AliasConflictError,
    ArtifactCorruptError,
    Problem,
    StoreUnavailableError,
    TagsmithError,
)
from shared.names import AliasName, VersionName
from shared.store.aliases import AliasRecord
from shared.store.models import ModelStore

_NOTHING_BEFORE = "it pointed nowhere before, and an alias cannot be taken away"


@dataclass(frozen=True, slots=True)
class PromotedAlias:
    """An alias that a job has moved to its version."""

    models: ModelStore
    version: VersionName
    alias: AliasName
    job_id: str

    def begin(self) -> AliasRecord | Failed | Superseded:
        """Return the record that points to the version, or how the rollout has ended before this call.

        Raises StoreUnavailableError, ArtifactCorruptError, ModelNotFoundError, AliasNotFoundError.
        """
        moves = self._moves()
        for move in moves:
            if self._is_own_rollback(move):
                return self._rolled_back(move)
        newest = moves[0]
        promoted = any(self._is_own_promotion(move) for move in moves)
        if newest.version != self.version.number or (promoted and not self._is_own_promotion(newest)):
            return self._superseded(newest)
        return newest

    def since(self, promotion: AliasRecord) -> Failed | Superseded | None:
        """Return how the rollout has ended by a move since `promotion`, None if there was none. Raises as `begin`."""
        newest = self.models.alias(self.alias.model, self.alias.alias)
        if newest.sequence == promotion.sequence:
            return None
        return self._rolled_back(newest) if self._is_own_rollback(newest) else self._superseded(newest)

    def roll_back(
        self, promotion: AliasRecord, why: str, problems: tuple[Problem, ...]
    ) -> Failed | Superseded:
        """Point the alias to where it was before `promotion`, unless it has moved since. Raises StoreUnavailableError."""
        if (ended := self.since(promotion)) is not None:
            return ended
        if promotion.previous == 0:
            return Failed(self.version, self.alias, why, problems, None, _NOTHING_BEFORE)
        try:
            self.models.set_alias(
                self.alias.model,
                self.alias.alias,
                promotion.previous,
                expected=self.version.number,
                actor=self.job_id,
                reason=rollback_reason(why, problems),
                overrides_gates=True,  # it has answered until now: whoever let it said why
            )
        except AliasConflictError:
            newest = self.models.alias(self.alias.model, self.alias.alias)
            return self._rolled_back(newest) if self._is_own_rollback(newest) else self._superseded(newest)
        except StoreUnavailableError:
            raise
        except TagsmithError as error:  # such as a version before that was deleted
            return Failed(self.version, self.alias, why, problems, None, error.message.rstrip("."))
        back_to = VersionName(self.alias.model, promotion.previous)
        return Failed(self.version, self.alias, why, problems, back_to)

    def _moves(self) -> list[AliasRecord]:
        """Return the alias's moves, newest first; only the newest, where one before cannot be read."""
        try:
            return self.models.alias_history(self.alias.model, self.alias.alias)
        except ArtifactCorruptError:
            return [self.models.alias(self.alias.model, self.alias.alias)]

    def _is_own_promotion(self, move: AliasRecord) -> bool:
        return move.actor == self.job_id and move.version == self.version.number

    def _is_own_rollback(self, move: AliasRecord) -> bool:
        return move.actor == self.job_id and move.previous == self.version.number

    def _rolled_back(self, move: AliasRecord) -> Failed:
        back_to = VersionName(self.alias.model, move.version)
        return Failed(self.version, self.alias, why_rolled_back(move.reason), (), back_to)

    def _superseded(self, newest: AliasRecord) -> Superseded:
        return Superseded(self.version, VersionName(self.alias.model, newest.version))
