"""Child processes that are asked by a line of JSON and answer by one, so that whoever measures does not share a process with what is measured."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

Handler = Callable[..., dict[str, Any]]


class Worker:
    """`python -m <module>`, running until the end of the `with` block; it ends itself when we do."""

    def __init__(self, module: str, *, python: str = sys.executable) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [python, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, what: str, **fields: Any) -> dict[str, Any]:
        """Have a handler of the child run; return what it returns. Ends the benchmark if the child has died."""
        self.begin(what, **fields)
        return self.result()

    def begin(self, what: str, **fields: Any) -> None:
        """Have a handler of the child run meanwhile; `result` waits for its end."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"what": what, **fields}) + "\n")

    def result(self) -> dict[str, Any]:
        """Return what the handler that was begun returns."""
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            sys.exit(f"{self._module} has ended")
        found: dict[str, Any] = json.loads(answer)
        return found

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def end_in_order() -> None:
    """Have SIGTERM end this process as an exception would, so that no child outlives it."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def answer_questions(handlers: Mapping[str, Handler]) -> None:
    """Be such a child, until the parent closes our stdin."""
    for line in sys.stdin:
        fields = json.loads(line)
        answer = handlers[fields.pop("what")](**fields)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
