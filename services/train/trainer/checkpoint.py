"""Checkpoints: what an attempt has come to, in folders that are complete or absent, for the attempt after it.

A checkpoint is `<number>-<attempt>/`, or `<number>-<attempt>-final/`: its tensors as safetensors, and `checkpoint.json`, sealed, with the digest of each of them. It is written aside,
fsynced, and given its name by a rename; the folder above is fsynced as well. The newest counts; the one before it is kept for the case that the newest is found
damaged. Several attempts may write at once: names differ, and none removes anything of an attempt after its own.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from services.train.trainer.log import say
from shared.errors import ArtifactCorruptError
from shared.store.records import seal, unseal

# What a disk, or the memory, may refuse while a checkpoint is written.
UNWRITABLE: Final = (OSError, SafetensorError, MemoryError)

_RECORD: Final = "checkpoint.json"
_SUFFIX: Final = ".safetensors"
_NAME: Final = re.compile(r"(\d{8,})-(\d{4,})(-final)?")
_ASIDE: Final = re.compile(r"\.\d{8,}-(\d{4,})(-final)?\.[0-9a-f]{16}")  # on its way in, or out
_LISTINGS: Final = 3  # an attempt that should be dead may remove what was listed


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What is kept at one moment."""

    number: int  # the later one has the higher
    record: Mapping[str, Any]  # goes through JSON
    parts: Mapping[str, Mapping[str, Tensor]]  # a file each
    is_final: bool = False  # nothing comes after it: it counts before all that are not


class _Found(NamedTuple):
    is_final: bool
    number: int
    attempt: int
    path: Path
    content: Mapping[str, Any]


@dataclass(slots=True)
class Checkpoints:
    """The checkpoints of one thing that is made, in a folder. Used from one thread."""

    folder: Path
    attempt: int  # of the job, from 1
    identity: str  # of what is made; those of another are passed over
    _last: _Found | None = field(default=None, init=False)  # that was saved or read last
    _told: bool = field(default=False, init=False)

    def save(self, checkpoint: Checkpoint, *, unchanged: Collection[str] = ()) -> bool:
        """Write a checkpoint, then remove those that it makes useless. `unchanged` parts are as they were in the one that was saved or read last.

        Returns whether it was written: a full disk is no reason to lose a training. It is told in the log once.
        """
        try:
            self._save(checkpoint, unchanged)
        except UNWRITABLE as error:
            if not self._told:
                say(
                    f"no checkpoint could be written, training goes on without: {type(error).__name__}: {error}"
                )
            self._told = True
            return False
        return True

    def read(self, *, is_final: bool) -> Iterator[Checkpoint]:
        """Yield the checkpoints that are whole, the newest first, until one can be used. What died on its way in or out is removed."""
        self._sweep()
        for _ in range(_LISTINGS):
            vanished = False
            for found in self._list():
                if found.is_final != is_final:
                    continue
                try:
                    checkpoint = _load(found)
                except (OSError, SafetensorError, ValueError) as error:
                    vanished |= not found.path.exists()
                    say(f"checkpoint {found.path.name} is passed over: {error}")
                    continue
                self._last = found
                yield checkpoint
                self._last = None  # it was of no use
            if not vanished:
                return

    def clear(self) -> None:
        """Remove all, but for what later attempts have written. What cannot be removed stays."""
        with suppress(OSError):
            self._remove_all_but(())

    def _save(self, checkpoint: Checkpoint, unchanged: Collection[str]) -> None:
        name = f"{checkpoint.number:08}-{self.attempt:04}" + ("-final" if checkpoint.is_final else "")
        self.folder.mkdir(exist_ok=True)  # not what is above: where that is gone, so is the job
        aside = self._aside(name)
        aside.mkdir()
        try:
            digests = {
                part: self._put(part, dict(tensors), aside, is_unchanged=part in unchanged)
                for part, tensors in checkpoint.parts.items()
            }
            content = {
                "identity": self.identity,
                "is_final": checkpoint.is_final,
                "digests": digests,
                "record": checkpoint.record,
            }
            with (aside / _RECORD).open("wb") as file:
                file.write(seal(json.dumps(content, separators=(",", ":")).encode()))
                file.flush()
                os.fsync(file.fileno())
            _sync(aside)
            path = self.folder / name
            if path.exists():  # it was damaged: otherwise this attempt would have gone on from there
                self._remove(path)
            aside.rename(path)
            _sync(self.folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        before, self._last = (
            self._last,
            _Found(checkpoint.is_final, checkpoint.number, self.attempt, path, content),
        )
        keeps_one = checkpoint.is_final or before is None
        self._remove_all_but({path} if keeps_one else {path, before.path})  # type: ignore[union-attr]

    def _put(self, part: str, tensors: dict[str, Tensor], aside: Path, *, is_unchanged: bool) -> str:
        """Write a part, or link the file that has it already, and return its digest."""
        path = aside / f"{part}{_SUFFIX}"
        known = self._last.content["digests"].get(part) if self._last else None
        if is_unchanged and known and self._last:
            try:
                os.link(self._last.path / path.name, path)
            except OSError:  # gone, or a filesystem without links
                pass
            else:
                return str(known)
        save_file(tensors, path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _list(self) -> list[_Found]:
        """Return what is there of the same identity, the newest first."""
        found = []
        for path in _entries(self.folder):
            if (match := _NAME.fullmatch(path.name)) is None:
                continue
            try:
                content = json.loads(unseal(path.name, (path / _RECORD).read_bytes()))
            except (OSError, ValueError, ArtifactCorruptError) as error:
                say(f"checkpoint {path.name} is passed over: {error}")
                continue
            if content.get("identity") != self.identity:
                say(f"checkpoint {path.name} is passed over: it is of another job")
                continue
            found.append(_Found(content["is_final"], int(match[1]), int(match[2]), path, content))
        return sorted(found, key=lambda each: each[:3], reverse=True)

    def _remove_all_but(self, kept: Collection[Path]) -> None:
        for path in _entries(self.folder):
            match = _NAME.fullmatch(path.name)
            if match is not None and int(match[2]) <= self.attempt and path not in kept:
                self._remove(path)

    def _remove(self, path: Path) -> None:
        """Remove a checkpoint, which is whole until it is not there."""
        aside = self._aside(path.name)
        try:
            path.rename(aside)
        except FileNotFoundError:  # another attempt was faster
            return
        shutil.rmtree(aside, ignore_errors=True)

    def _aside(self, name: str) -> Path:
        return self.folder / f".{name}.{secrets.token_hex(8)}"

    def _sweep(self) -> None:
        for path in _entries(self.folder):
            match = _ASIDE.fullmatch(path.name)
            if match is not None and int(match[1]) <= self.attempt:
                shutil.rmtree(path, ignore_errors=True)


def _load(found: _Found) -> Checkpoint:
    """Read the tensors of a checkpoint. Raises ValueError where they are not those that were written."""
    parts = {}
    for part, digest in found.content["digests"].items():
        path = found.path / f"{part}{_SUFFIX}"
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise ValueError(f"{path.name} is damaged")
        parts[part] = load_file(path)
    return Checkpoint(found.number, found.content["record"], parts, found.is_final)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # it is not there, or cannot be read: either way there is nothing to go on from
        return []


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
