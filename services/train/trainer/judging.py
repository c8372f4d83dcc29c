"""Whether a version that the export gate has passed is good enough to be promoted: measured here, decided by `quality`."""

from pathlib import Path

from services.train.spec import Work
from services.train.trainer.champion import compare_with_champion, find_champion, judged_split
from services.train.trainer.corpus import Corpus
from services.train.trainer.fastest import find_fastest
from services.train.trainer.memory import lacks_memory
from services.train.trainer.parent import Parent
from services.train.trainer.publishing import Candidate
from services.train.trainer.quality import quality_checks
from shared.data.inspection.findings import Kind
from shared.errors import ArtifactCorruptError, ModelNotLoadableError, VersionNotFoundError
from shared.runtime.execution import Execution
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.store.cache import FileCache
from shared.store.evaluation import Comparison
from shared.store.manifest import DataFinding, Manifest, VariantName
from shared.store.models import ModelStore
from shared.store.port import ObjectStore


def judge(
    manifest: Manifest, candidate: Candidate, corpus: Corpus, work: Work, objects: ObjectStore, scratch: Path
) -> Manifest:
    """Add the comparison with the champion and the checks of the spec's gates to a manifest that has its evaluations.

    Every variant is judged, for any may serve; the comparison that is kept is that of the one that servers choose.
    """
    gates, split = work.spec.gates, judged_split(corpus)
    parts = Parts(candidate.open_file)
    comparisons, failure = _comparisons(manifest, parts, corpus, work, objects, scratch)
    served = None
    if len(comparisons) > 1 or gates.most_size_bytes is not None or gates.most_latency_ms is not None:
        served = find_fastest(manifest, parts, [row.text for row in corpus.splits[split]])
    checks = quality_checks(
        gates,
        corpus.task,
        split,
        {variant: of_split[split] for variant, of_split in manifest.evaluations.items()},
        comparisons,
        champion_failure=failure,
        served=served,
    )
    comparison = comparisons.get(served.variant if served else "fp32")
    return manifest.model_copy(update={"comparison": comparison, "quality_checks": checks})


def add_forgetting(
    manifest: Manifest, candidate: Candidate, corpus: Corpus, parent: Parent, *, threads: int
) -> Manifest:
    """Add what the version forgot of the one that its training went on from."""
    model = Model.load(manifest, Parts(candidate.open_file), Execution(threads=threads))
    try:
        forgetting = parent.forgotten(model, corpus, threads=threads)
    except (ArtifactCorruptError, ModelNotLoadableError) as error:  # no reason to lose what was trained
        if lacks_memory(error):
            raise
        damage = DataFinding(kind=Kind.PARENT_UNREADABLE, message=error.message, count=0, places=())
        return manifest.model_copy(update={"findings": (*manifest.findings, damage)})
    return manifest.model_copy(update={"forgetting": forgetting})


def _comparisons(
    manifest: Manifest, parts: Parts, corpus: Corpus, work: Work, objects: ObjectStore, scratch: Path
) -> tuple[dict[VariantName, Comparison], str]:
    """Return a comparison for each variant, or why the champion cannot be compared with; neither where there is none."""
    try:
        champion = find_champion(ModelStore(objects), work.spec.gates.champion)
        if champion is None:
            return {}, ""
        if champion.task != corpus.task:  # an alias that moved since the job was accepted
            return {}, f"{champion.version} does {champion.task}"
        opened = Parts(FileCache(objects, scratch / "champion").fetch), parts
        return compare_with_champion(
            champion, manifest, corpus, opened=opened, asked=work.spec.continues, threads=work.threads
        ), ""
    except (ArtifactCorruptError, ModelNotLoadableError, VersionNotFoundError) as error:
        if lacks_memory(error):
            raise
        return {}, error.message
