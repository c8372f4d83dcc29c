"""What a search finds of its journal: whole, torn by a crash, or damaged."""

from pathlib import Path

import optuna
import pytest

from services.train.trainer.search_journal import open_journal
from shared.errors import ArtifactCorruptError


def opened(path: Path) -> optuna.Study:
    """The journal's one study, with a trial more than it had."""
    study = optuna.create_study(storage=open_journal(path), study_name="search", load_if_exists=True)
    study.add_trial(optuna.trial.create_trial(value=0.5))
    return study


@pytest.mark.parametrize("torn", [b'{"op_code":5,"wor', b"\0\0\0", b"\xc3", b'{"op_code":0}'])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    """What was told before it is known, and what is told after it stays readable."""
    path = tmp_path / "search.journal"
    opened(path)
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert len(opened(path).trials) == 2
    assert path.read_bytes().startswith(whole)
    assert len(opened(path).trials) == 3


def test_a_journal_of_nothing_but_half_a_line_begins_anew(tmp_path: Path) -> None:
    """It was the first thing that the search wrote."""
    path = tmp_path / "search.journal"
    path.write_bytes(b'{"op_co')
    assert len(opened(path).trials) == 1


@pytest.mark.parametrize("damaged", [b'{"op_code":5,"wor', b"\xff\xff", b"7", b""])
def test_a_line_that_is_no_object_is_damage(tmp_path: Path, damaged: bytes) -> None:
    """The error names the job's file and the line, and what to do; nothing of the file is changed."""
    path = tmp_path / "job-1" / "search.journal"
    path.parent.mkdir()
    opened(path)
    first, *others = path.read_bytes().splitlines(keepends=True)
    content = b"".join([first, damaged + b"\n", *others])
    path.write_bytes(content)
    with pytest.raises(
        ArtifactCorruptError, match=r"line 2 of job-1/search\.journal .* Delete that file"
    ) as raised:
        open_journal(path)
    assert raised.value.metadata["line"] == "2"
    assert path.read_bytes() == content
