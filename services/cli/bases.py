"""`tagsmith bases` lists base models; `tagsmith base add` puts one into a folder that a training service reads.

Adding is the one thing that this command does without a service: it is for whoever runs one, on its machine. Only weights as
safetensors are taken: other formats run code when they are loaded.
"""

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from services.cli.failures import local_error
from services.cli.options import AsJson, session_of
from services.cli.training_records import base_record
from shared.stubs.training.v1 import training_pb2 as pb

_NEEDED = ("config.json", "model.safetensors", "tokenizer.json")
_WANTED = (*_NEEDED, "README.md", "1_Pooling/config.json")
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")

app = typer.Typer(no_args_is_help=True, help="Add base models.")


def bases(context: typer.Context, as_json: AsJson = False) -> None:
    """List the base models that the server knows."""
    session = session_of(context)
    found = session.call(session.training.ListBaseModels, pb.ListBaseModelsRequest()).base_models
    table = Table(
        "base", "languages", "parameters", "max tokens", "tokenizer", "licence", "", "limits", box=None
    )
    for base in found:
        table.add_row(
            base.id,
            " ".join(base.languages),
            f"{base.parameter_count / 1e6:.1f} M",
            str(base.max_tokens),
            base.tokenizer_family,
            base.licence,
            ("not here" if not base.available else "default" if base.is_default else ""),
            base.limits,
        )
    session.show({"base_models": [base_record(base) for base in found]}, table)


@app.command("add")
def add(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            help="A name on the Hugging Face Hub, such as FacebookAI/xlm-roberta-base, or a folder."
        ),
    ],
    to: Annotated[
        Path,
        typer.Option(envvar="TAGSMITH_BASES_DIR", file_okay=False, help="Where the training service looks."),
    ],
    base_id: Annotated[
        str | None, typer.Option("--id", help="Default: the source's last part, in lower case.")
    ] = None,
    revision: Annotated[str, typer.Option(help="A branch, tag or commit of the Hub.")] = "main",
    as_json: AsJson = False,
) -> None:
    """Put a base model into a folder of bases, with a note of where it came from."""
    session = session_of(context)
    base_id = base_id or source.rstrip("/").rpartition("/")[2].lower()
    if not _ID.fullmatch(base_id):
        raise typer.BadParameter("1 to 128 of a-z, 0-9, '.', '_' and '-'", param_hint="--id")
    target = to / base_id
    if target.exists():
        raise local_error("BASE_MODEL_EXISTS", f"{target} is there already", base_model=base_id)
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to, prefix=".adding-") as folder:  # no base's name begins so
        fetched = Path(folder) / base_id
        origin = (
            _copy(Path(source), fetched) if Path(source).is_dir() else _download(source, revision, fetched)
        )
        _check(fetched, source)
        (fetched / "origin.json").write_text(json.dumps(origin), "utf-8")
        fetched.rename(target)
    session.show({"id": base_id, "folder": str(target), **origin}, f"{base_id} is in {target}")


def _copy(source: Path, target: Path) -> dict[str, str]:
    for name in _WANTED:
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)
    return {"source": source.resolve().name, "revision": "local"}


def _download(source: str, revision: str, target: Path) -> dict[str, str]:
    # A second of import for one command.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        snapshot = Path(snapshot_download(source, revision=revision, allow_patterns=list(_WANTED)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise local_error(
            "BASE_MODEL_NOT_FOUND",
            f"{source} is no folder here, and the Hugging Face Hub did not give it ({type(error).__name__})",
            base_model=source,
        ) from error
    _copy(snapshot, target)
    return {"source": source, "revision": snapshot.name}  # a snapshot's folder is named by its commit


def _check(folder: Path, source: str) -> None:
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if not missing:
        return
    hint = {
        "model.safetensors": "; weights in other formats are not taken: convert them with transformers' save_pretrained",
        "tokenizer.json": "; AutoTokenizer.from_pretrained(...).save_pretrained(...) of transformers writes it",
    }
    raise local_error(
        "BASE_MODEL_INVALID",
        f"{source} has no {', no '.join(missing)}{hint.get(missing[0], '')}",
        base_model=source,
    )
