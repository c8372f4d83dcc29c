"""What the store holds of a job: its version, and the alias that the job was to move.

Blocks; any thread may call. All methods may be repeated at any time, so that a service that dies between two steps repeats them.
"""

from services.train.jobs.record import JobRecord
from shared.errors import AliasConflictError, ModelNotFoundError, VersionNotFoundError
from shared.names import VersionName
from shared.store.manifest import Manifest
from shared.store.models import ModelStore

PROMOTION_REASON = "promoted by training job"
_MOST_RACES = 100


class Publication:
    """Reads and finishes what trainers publish."""

    def __init__(self, models: ModelStore) -> None:
        """`models` is the store that the trainers publish to."""
        self._models = models

    def manifest(self, job: JobRecord) -> Manifest | None:
        """Return the manifest of the job's version, None if the job did not publish it."""
        try:
            manifest = self._models.manifest(VersionName.parse(job.version))
        except (ModelNotFoundError, VersionNotFoundError):
            return None
        return manifest if manifest.lineage.job_id == job.id else None

    def give_up_attempts(self, job: JobRecord, *, with_present: bool = False) -> None:
        """Keep every attempt before the job's present one, or that one too, from publishing; what one of them has begun to publish is finished."""
        before = job.attempt + with_present
        self._models.give_up(VersionName.parse(job.version), before=before, job_id=job.id)

    def last_word(self, job: JobRecord) -> Manifest | None:
        """Return the manifest of the job's version; None if the job did not publish it, and then none of its attempts so far ever will."""
        if (found := self.manifest(job)) is not None:
            return found
        self.give_up_attempts(job, with_present=True)
        return self.manifest(job)

    def promote(self, job: JobRecord) -> None:
        """Move the job's alias to its version, exactly once in the alias's history: whoever moved it on since then stays right.

        Raises QualityGatesFailedError.
        """
        reason = f"{PROMOTION_REASON}: {job.override_reason}" if job.override_reason else PROMOTION_REASON
        version = VersionName.parse(job.version)
        for _ in range(_MOST_RACES):
            if self._models.alias_moved_by(version.model, job.promote_to, job.id):
                return
            try:
                self._models.set_alias(
                    version.model,
                    job.promote_to,
                    version.number,
                    expected=None,
                    actor=job.id,
                    reason=reason,
                    overrides_gates=bool(job.override_reason),
                )
            except AliasConflictError:  # another mover won this record's number
                continue
            return
        raise AliasConflictError(
            f"{version.model}@{job.promote_to} moved {_MOST_RACES} times while {job.id} tried to move it to {version}.",
            model=version.model,
            alias=job.promote_to,
        )
