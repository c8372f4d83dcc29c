"""The test stand of one arm: what the hardware could do, the load generator, and which texts each server has met."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from tests.bench.serving.arms import Arm
from tests.bench.serving.bounds import Bounds
from tests.bench.serving.preparing import ADAPTABLE, Prepared
from tests.bench.serving.quiet import Figures, Patience
from tests.bench.serving.servers import Server
from tests.bench.serving.workers import Worker

_MOST_TEXTS: Final = 30_000  # of a load: more than any arm answers meanwhile
_SAMPLES: Final = 100  # answers of a load that are held to the in-process ones


@dataclass(slots=True)
class Stand:
    """What scenarios measure with."""

    arm: Arm
    prepared: Prepared
    bounds: Bounds
    generator: Worker
    patience: Patience
    _met: Counter[tuple[int, str]] = field(default_factory=Counter)

    @property
    def version(self) -> str:
        """The version that is served."""
        return str(self.prepared.manifest(ADAPTABLE).version)

    def load(self, server: Server, corpus: str, **fields: Any) -> Figures:
        """Load a server with texts that it has not met; see generator.load.

        Of calls to the stand's own version, some answers are held to the in-process ones: `sampled`, `answered_otherwise`.
        """
        self.begin_load(server, corpus, **fields)
        return self.loaded(server, corpus, is_checked="models" not in fields)

    def begin_load(
        self,
        server: Server,
        corpus: str,
        *,
        kind: str,
        count: int = _MOST_TEXTS,
        texts_per_call: int = 1,
        models: Sequence[str] = (),
        versions: Sequence[Sequence[str]] = (),
        **fields: Any,
    ) -> None:
        """Begin to load a server with up to `count` texts; `loaded` waits for the end."""
        self.generator.begin(
            "load",
            kind=kind,
            address=server.address,
            pids=server.pids,
            corpus=str(self.prepared.corpora[corpus]),
            start=self._met[server.process.pid, corpus],
            count=count,
            texts_per_call=texts_per_call,
            models=models or [self.version],
            versions=versions or [[self.version]],
            **fields,
        )

    def loaded(self, server: Server, corpus: str, *, is_checked: bool) -> Figures:
        """Wait for the end of a load."""
        figures = self.generator.result()
        self._met[server.process.pid, corpus] += figures.pop("asked_texts")
        samples = figures.pop("samples")[:_SAMPLES]
        if is_checked:
            expected = self.bounds.labels(corpus, [place for place, _ in samples])
            figures["sampled"] = len(samples)
            figures["answered_otherwise"] = sum(
                label not in of_text for (_, label), of_text in zip(samples, expected, strict=True)
            )
        return figures


@contextmanager
def standing(arm: Arm, prepared: Prepared, patience: Patience) -> Iterator[Stand]:
    """Set an arm's stand up."""
    with Worker("tests.bench.serving.generator") as generator, ceiling_of(arm, prepared) as ceiling:
        yield Stand(arm, prepared, Bounds(ceiling, prepared.corpora, patience), generator, patience)


@contextmanager
def ceiling_of(arm: Arm, prepared: Prepared) -> Iterator[Worker]:
    """Run a process for the in-process loop of the stand's own version."""
    manifest = prepared.manifest(ADAPTABLE)
    with Worker("tests.bench.serving.ceiling", python=arm.python) as ceiling:
        ceiling.ask(
            "open",
            graph=str(prepared.graph(manifest, arm.variant)),
            tokenizer=str(prepared.path(manifest.tokenization.file)),
            labels=manifest.labels,
            provider=arm.provider,
        )
        yield ceiling
