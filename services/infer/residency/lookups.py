"""Asks the store what a reference means, on behalf of calls that name something not yet followed.

Invariant: callers that name the same thing at the same time cause one question, and a refusal is remembered for a second, so
that a misconfigured client costs the store next to nothing.
Concurrency: used from the event loop; the questions block threads of their own, so a hanging store delays nothing else.
"""

import asyncio
from concurrent.futures import Executor
from typing import Final

from shared.errors import StoreUnavailableError, TagsmithError, VersionRejectedError
from shared.names import ModelReference, VersionName
from shared.store.models import ModelStore

REFUSAL_TTL_S: Final = 1.0
MOST_REFUSALS: Final = 1024
MOST_QUESTIONS: Final = 256  # a question outlives its caller: a store that hangs must not collect them


class Lookups:
    """The store, as seen by calls."""

    def __init__(self, models: ModelStore, threads: Executor) -> None:
        """Ask `models` in `threads`."""
        self._models = models
        self._threads = threads
        self._asking: dict[ModelReference, asyncio.Future[VersionName]] = {}
        self._refusals: dict[ModelReference, tuple[float, TagsmithError]] = {}

    async def version(self, reference: ModelReference) -> VersionName:
        """Return the version meant. Raises what the store raises, VersionRejectedError, and StoreUnavailableError if too many ask."""
        loop = asyncio.get_running_loop()
        until_s, refusal = self._refusals.get(reference, (0.0, None))
        if refusal is not None and loop.time() < until_s:
            raise refusal.with_traceback(None)  # else it would grow by every raise
        if reference not in self._asking:
            if len(self._asking) >= MOST_QUESTIONS:
                raise StoreUnavailableError(
                    f"{MOST_QUESTIONS} questions to the store are not answered yet: try again later."
                )
            question = loop.run_in_executor(self._threads, self._ask, reference)
            self._asking[reference] = question
            question.add_done_callback(lambda answered: self._note(reference, answered))
        return await asyncio.shield(
            self._asking[reference]
        )  # a caller that leaves takes no other's answer along

    def _ask(self, reference: ModelReference) -> VersionName:
        version = self._models.resolve(reference)
        if self._models.manifest(version).state == "rejected":
            raise VersionRejectedError(
                f"{version} was rejected by its gate and is not served.", model_version=str(version)
            )
        return version

    def _note(self, reference: ModelReference, answered: "asyncio.Future[VersionName]") -> None:
        del self._asking[reference]
        refusal = answered.exception()
        if isinstance(refusal, TagsmithError) and refusal.retry_after_ms is None:
            if len(self._refusals) >= MOST_REFUSALS:
                self._refusals.clear()
            self._refusals[reference] = (asyncio.get_running_loop().time() + REFUSAL_TTL_S, refusal)
