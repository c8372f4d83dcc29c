"""Logs: whole JSON lines, and never a user's text."""

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from shared.errors import ModelNotFoundError
from shared.telemetry.logs import configure_logs, get_logger
from shared.telemetry.metrics import LOST_LOG_LINES

_TEXT = "my card 4111 was stolen"


@pytest.fixture(autouse=True)
def _restore(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def _logged(error: Exception, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    configure_logs("infer")
    get_logger().error("broke", model="banking", exc_info=error)
    return json.loads(capsys.readouterr().err)


def _raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:  # noqa: BLE001  # gives the error its frames
        return caught


def test_a_line_says_service_event_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object a line, on stderr."""
    line = _logged(_raised(OSError(28, "No space left on device")), capsys)
    assert (line["service"], line["event"], line["level"], line["model"]) == (
        "infer",
        "broke",
        "error",
        "banking",
    )
    assert "No space left on device" in line["exception"]
    assert "test_logs.py" in line["exception"]


@pytest.mark.parametrize(
    "error", [KeyError(_TEXT), ValueError(_TEXT), UnicodeEncodeError("ascii", _TEXT, 0, 1, "bad")], ids=repr
)
def test_an_exception_that_may_quote_a_text_is_named_only(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    """G10: type and frames are logged; the message, which a library made from its input, is not."""
    line = _logged(_raised(error), capsys)
    assert type(error).__name__ in line["exception"]
    assert _TEXT not in json.dumps(line)


def test_causes_are_told_and_kept_as_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """The cause of our own error is named too, without its words."""
    try:
        try:
            raise KeyError(_TEXT)
        except KeyError as cause:
            raise ModelNotFoundError("there is no model banking", model="banking") from cause
    except ModelNotFoundError as error:
        line = _logged(error, capsys)
    assert "KeyError" in line["exception"]
    assert "there is no model banking" in line["exception"]
    assert _TEXT not in json.dumps(line)


def test_a_librarys_record_keeps_its_words_to_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """asyncio quotes the exception of a task that nobody awaited; we tell where it was, as JSON, without the quote."""
    configure_logs("infer")

    async def forget() -> None:
        async def fail() -> None:
            raise KeyError(_TEXT)

        task = asyncio.create_task(fail())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del task

    asyncio.run(forget())
    logging.getLogger("grpc").warning("cannot parse %s", _TEXT)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {line["logger"] for line in lines} == {"asyncio", "grpc"}
    assert any("KeyError" in line.get("exception", "") for line in lines)
    assert _TEXT not in json.dumps(lines)


def test_an_uncaught_exception_is_a_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    """What ends a thread is logged as JSON, without what it quotes."""
    configure_logs("infer")

    def fail() -> None:
        raise ValueError(_TEXT)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert (line["event"], line["level"]) == ("uncaught", "critical")
    assert "ValueError" in line["exception"]
    assert _TEXT not in json.dumps(line)


def test_a_full_disk_under_the_log_costs_lines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that cannot be written is counted, and whoever wrote it goes on."""
    full = Path("/dev/full").open("w", buffering=1)  # noqa: SIM115  # closing it fails too
    monkeypatch.setattr(sys, "stderr", full)
    configure_logs("infer")
    before = LOST_LOG_LINES._value.get()
    for _ in range(3):
        get_logger().warning("job_waits_for_store", job="job-1")
    assert LOST_LOG_LINES._value.get() >= before + 3
    with suppress(OSError):
        full.close()
