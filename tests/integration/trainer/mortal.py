"""`python -m tests.integration.trainer.mortal <folder> <where> <number>`: a trainer that keeps its state after every step, and is killed by SIGKILL.

<where>: `step`, after so many steps; `fsync`, before so many calls; `phase`, at the beginning of phase number so many.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.train.events import PhaseStarted
from services.train.trainer import journal, keeping
from services.train.trainer.__main__ import main
from services.train.trainer.loop import Training

left = int(sys.argv[3])


def mortal(real: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that is deadly when it is called for the last time."""

    def act(*arguments: Any, **options: Any) -> Any:
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return real(*arguments, **options)

    return act


match sys.argv[2]:
    case "step":
        Training.advance = mortal(Training.advance)  # type: ignore[method-assign]
    case "fsync":
        os.fsync = mortal(os.fsync)
    case "phase":
        write, die = journal.Journal.write, mortal(lambda: None)

        def told(self: journal.Journal, event: Any) -> None:
            if isinstance(event, PhaseStarted):
                die()
            write(self, event)

        journal.Journal.write = told  # type: ignore[method-assign]

keeping.Keeper.note = lambda self, training, *, evaluated: self._keep(training)  # type: ignore[method-assign]
sys.exit(main(Path(sys.argv[1])))
