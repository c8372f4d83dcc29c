"""Checkpoints on the disk: complete or absent, whatever ends their writer."""

import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from services.train.trainer import checkpoint as checkpoints
from services.train.trainer.checkpoint import Checkpoint, Checkpoints

SIZE = 1000


def at(number: int, *, is_final: bool = False) -> Checkpoint:
    """A checkpoint whose every number is its own."""
    tensors = {"a": torch.full((SIZE,), float(number)), "b": torch.full((2, 3), float(number))}
    return Checkpoint(number, {"n": number}, {"moving": tensors, "best": {"a": tensors["a"]}}, is_final)


def opened(folder: Path, attempt: int = 1, identity: str = "x") -> Checkpoints:
    """The folder as an attempt sees it."""
    return Checkpoints(folder, attempt, identity)


def numbers(folder: Path, attempt: int = 9, *, is_final: bool = False) -> list[int]:
    """What a later attempt finds, the newest first; all of it is whole."""
    found = []
    for each in opened(folder, attempt).read(is_final=is_final):
        assert each.record == {"n": each.number}
        for tensors in each.parts.values():
            for tensor in tensors.values():
                assert bool((tensor == each.number).all())
        found.append(each.number)
    return found


def in_a_child(act: Callable[[], object]) -> int:
    """Act in a process of its own; return its status, as waitpid gives it."""
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


def test_the_newest_and_the_one_before_it_stay(tmp_path: Path) -> None:
    """Older ones are removed once a newer one is complete; a final one makes all others useless, and counts before them."""
    kept = opened(tmp_path)
    for number in (1, 2, 5, 8):
        kept.save(at(number))
    assert numbers(tmp_path) == [8, 5]
    kept.save(at(8, is_final=True))
    assert numbers(tmp_path) == []
    assert numbers(tmp_path, is_final=True) == [8]
    assert len(list(tmp_path.iterdir())) == 1


def test_what_did_not_change_is_not_written_again(tmp_path: Path) -> None:
    """An unchanged part is the same file, and stays when the checkpoint goes that it was written for."""
    kept = opened(tmp_path)
    kept.save(at(1))
    for number in (2, 3, 4):
        kept.save(at(number), unchanged={"best"})
    files = {path.parent.name[:8]: path.stat().st_ino for path in tmp_path.glob("*/best.safetensors")}
    assert set(files) == {"00000003", "00000004"}
    assert len(set(files.values())) == 1
    (found,) = [next(opened(tmp_path).read(is_final=False))]
    assert found.parts["best"]["a"][0] == 1


def test_an_unchanged_part_that_has_vanished_is_written(tmp_path: Path) -> None:
    """A later attempt may have removed what it stood in."""
    kept = opened(tmp_path)
    kept.save(at(1))
    opened(tmp_path, 2).clear()
    kept.save(at(2), unchanged={"best"})
    assert numbers(tmp_path) == [2]


CALLS = ("fsync", "rename", "link", "rmdir", "unlink", "open", "mkdir")


@pytest.mark.parametrize("final", [False, True])
def test_a_writer_killed_at_any_moment_leaves_the_old_or_the_new(tmp_path: Path, final: bool) -> None:
    """SIGKILL before each of the calls to the system that a save makes: there is always a whole checkpoint, the old one or the new; and the next save
    goes as if nothing had been."""

    def dies_before(call: int) -> None:
        count = 0

        def watched(real: Callable[..., Any]) -> Callable[..., Any]:
            def act(*arguments: Any, **options: Any) -> Any:
                nonlocal count
                count += 1
                if count == call:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **options)

            return act

        for name in CALLS:
            setattr(os, name, watched(getattr(os, name)))
        checkpoints.save_file = watched(save_file)
        kept.save(at(3, is_final=final), unchanged={"best"} if call % 2 else ())

    seen = set()
    for call in range(1, 100):
        folder = tmp_path / str(call)
        kept = opened(folder)
        kept.save(at(1))
        kept.save(at(2))
        if final:
            kept.save(at(3))
        status = in_a_child(lambda call=call: dies_before(call))  # type: ignore[misc]
        raw = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
        found = numbers_of_any(folder)
        assert found
        assert raw >= {f"{number:08}" + suffix for number, suffix in found}
        seen.add(found[0])
        assert opened(folder, 2).save(at(4))
        assert numbers(folder)[0] == 4 or numbers(folder, is_final=True)
        assert not [path for path in folder.iterdir() if path.name.startswith(".")]
        if not os.WIFSIGNALED(status):
            break
    assert call > 10
    assert seen == ({(3, "-0001"), (3, "-0001-final")} if final else {(2, "-0001"), (3, "-0001")})


def numbers_of_any(folder: Path) -> list[tuple[int, str]]:
    """What is whole: final ones first."""
    finals = [(each.number, "-0001-final") for each in opened(folder, 9).read(is_final=True)]
    return finals + [(each.number, "-0001") for each in opened(folder, 9).read(is_final=False)]


@pytest.mark.parametrize("most_bytes", [0, 100, 1000, 4096])
def test_a_file_that_cannot_be_written_costs_the_checkpoint_alone(tmp_path: Path, most_bytes: int) -> None:
    """A full disk, here a limit of a file's size: the save says no, the old ones stay, nothing half is left, and it is told once."""
    kept = opened(tmp_path)
    kept.save(at(1))
    log = tmp_path.with_name(f"{tmp_path.name}.log")

    def write() -> None:
        sys.stderr = log.open("a")
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
        answers = [kept.save(at(2)), kept.save(at(3))]
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        sys.stderr.write(f"{answers} {kept.save(at(4))}\n")
        sys.stderr.flush()

    in_a_child(write)
    *told, answers = log.read_text().splitlines()
    assert answers.endswith("[False, False] True")
    assert most_bytes < 200 or ["no checkpoint could be written" in line for line in told] == [True]
    assert numbers(tmp_path) == [4, 1]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("file", ["moving.safetensors", "best.safetensors", "checkpoint.json"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "gone", "longer", "another"])
def test_whatever_is_damaged_is_passed_over(
    tmp_path: Path, file: str, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any damage to any file of the newest: the one before it counts, and the log names the newest."""
    kept = opened(tmp_path)
    kept.save(at(1))
    kept.save(at(2))
    newest, before = (tmp_path / f"{number:08}-0001" / file for number in (2, 1))
    content = newest.read_bytes()
    match damage:
        case "flipped":
            middle = len(content) // 2
            newest.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        case "cut":
            newest.write_bytes(content[:-1])
        case "empty":
            newest.write_bytes(b"")
        case "gone":
            newest.unlink()
        case "longer":
            newest.write_bytes(content + b"\0")
        case "another":
            newest.write_bytes(before.read_bytes())
    found = [each.number for each in opened(tmp_path, 2).read(is_final=False)]
    assert found == [1]
    assert "checkpoint 00000002-0001 is passed over" in capsys.readouterr().err


def test_a_later_attempt_removes_what_its_forerunners_left_and_no_more(tmp_path: Path) -> None:
    """Half-written folders and checkpoints of attempts before go; what an attempt after has written stays."""
    for attempt in (1, 2, 3):
        opened(tmp_path, attempt).save(at(attempt))
        (tmp_path / f".0000000{attempt}-000{attempt}.{'a' * 16}").mkdir()
    second = opened(tmp_path, 2)
    list(second.read(is_final=False))
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == {
        f".00000003-0003.{'a' * 16}"
    }
    second.save(at(7))
    second.save(at(8))
    left = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")}
    assert left == {"00000007-0002", "00000008-0002", "00000003-0003"}
    second.clear()
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} == {"00000003-0003"}


def test_what_is_removed_while_it_is_read_is_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that should be dead replaces the checkpoints between the listing and the reading."""
    first = opened(tmp_path)
    first.save(at(1))
    load, raced = checkpoints._load, []

    def late(found: Any) -> Checkpoint:
        if not raced:
            raced.append(1)
            for number in (2, 3):
                first.save(at(number))
            first.save(at(4))
        return load(found)

    monkeypatch.setattr(checkpoints, "_load", late)
    assert next(opened(tmp_path, 2).read(is_final=False)).number == 4


def test_nothing_is_a_pickle(tmp_path: Path) -> None:
    """A checkpoint is safetensors and JSON."""
    opened(tmp_path).save(at(1))
    files = sorted(path.name for path in (tmp_path / "00000001-0001").iterdir())
    assert files == ["best.safetensors", "checkpoint.json", "moving.safetensors"]
    json.loads((tmp_path / "00000001-0001" / "checkpoint.json").read_bytes())
