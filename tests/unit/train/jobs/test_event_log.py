"""Reading what a trainer says."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from services.train.events import Finished, PhaseStarted
from services.train.jobs.event_log import EventLog
from tests.unit.train.jobs.records import PROGRESS

STORY = [
    PhaseStarted(phase="PREPARING"),
    PhaseStarted(phase="TRAINING"),
    PROGRESS,
    Finished(),
]
TEXT = "".join(event.model_dump_json() + "\n" for event in STORY).encode()


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    """Before its first word a trainer's file may not exist."""
    assert EventLog(tmp_path / "events.jsonl").read() == []


@given(cuts=st.lists(st.integers(0, len(TEXT)), max_size=8))
@settings(max_examples=50, deadline=None)
def test_however_it_is_torn_every_event_is_read_once(tmp_path_factory: object, cuts: list[int]) -> None:
    """Wherever writes are cut, the events come out whole, once, and in order."""
    file = tmp_path_factory.mktemp("log") / "events.jsonl"  # type: ignore[attr-defined]
    log = EventLog(file)
    read = []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(TEXT)], strict=True):
        with file.open("ab") as events:
            events.write(TEXT[start:end])
        read += log.read()
    assert read == STORY


def test_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    """Lines that are no events, not even text, cost themselves only."""
    file = tmp_path / "events.jsonl"
    file.write_bytes(b'oops\n\xff\xfe\n{"kind": "unknown"}\n' + TEXT)
    assert EventLog(file).read() == STORY
