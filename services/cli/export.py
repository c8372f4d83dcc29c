"""`tagsmith export`: a version as a folder for the Hugging Face Hub, which `optimum` loads and which answers as the version does.

No service hands out a version's files, so this command reads the store itself; it is for whoever may do that. Nothing is written
to the store.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from services.cli.failures import local_error
from services.cli.files import check_free, write_files
from services.cli.options import AsJson, session_of
from shared.errors import TagsmithError
from shared.names import VersionName, parse_reference
from shared.store.cache import FileCache
from shared.store.manifest import Manifest
from shared.store.models import ModelStore
from shared.store.opening import open_store
from shared.store.port import ObjectStore

_FILES = ("model.onnx", "config.json", "tokenizer.json", "tokenizer_config.json", "README.md")


def export(
    context: typer.Context,
    version: Annotated[
        str,
        typer.Argument(
            metavar="MODEL[@VERSION]", help="support@7, support@canary, or support: its production alias."
        ),
    ],
    hub: Annotated[Path, typer.Option(file_okay=False, help="The folder; made if it is not there.")],
    store: Annotated[
        str,
        typer.Option(
            envvar="TAGSMITH_STORE",
            help="The model store: a folder (that of `tagsmith up` is tagsmith-data/store) or a URL.",
        ),
    ],
    with_texts: Annotated[
        bool,
        typer.Option(
            "--with-texts", help="Show the golden examples, texts of the validation split, in the card."
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a version as a folder for the Hugging Face Hub: ONNX graph, configuration, tokenizer and model card."""
    session = session_of(context)
    check_free([hub / name for name in _FILES], force=force)
    try:
        objects = open_store(store, make=False)
        models = ModelStore(objects)
        manifest = models.manifest(_resolved(models, version))
        contents = _contents(objects, manifest, with_texts=with_texts)
    except TagsmithError as error:
        raise local_error(error.reason, error.message, **error.metadata) from error
    write_files({hub / name: content for name, content in contents.items()}, force=force)
    session.show(
        {"model_version": str(manifest.version), "folder": str(hub), "files": list(contents)},
        f"{manifest.version} is in {hub}: {', '.join(contents)}",
    )


def _resolved(models: ModelStore, reference: str) -> VersionName:
    return models.resolve(parse_reference(reference))


def _contents(objects: ObjectStore, manifest: Manifest, *, with_texts: bool) -> dict[str, bytes]:
    """Return the files, the graph of fp32."""
    from services.cli import hub_folder  # onnx and others: a second that other commands need not wait
    from services.cli.hub_graph import hub_graph
    from shared.runtime.tokenizer import TextTokenizer

    hub_folder.check_exportable(manifest)
    variant = manifest.variants["fp32"]
    with tempfile.TemporaryDirectory() as folder:
        cache = FileCache(objects, Path(folder))
        tokenizer = cache.fetch(manifest.tokenization.file).read_bytes()
        paths = {role: cache.fetch(graph.file) for role, graph in variant.graphs.items()}
        graph = hub_graph(variant, paths, manifest.decoding.temperature)
    pad_id = TextTokenizer(tokenizer).pad_id
    return dict(
        zip(
            _FILES,
            (
                graph,
                hub_folder.config_json(manifest),
                hub_folder.tokenizer_json(tokenizer),
                hub_folder.tokenizer_config_json(manifest, tokenizer, pad_id),
                hub_folder.readme(manifest, with_texts=with_texts),
            ),
            strict=True,
        )
    )
