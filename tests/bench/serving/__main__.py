"""`python -m tests.bench.serving [SCENARIO ...]`: the serving benchmark, whole or the named scenarios."""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.bench.serving.arms import ARMS
from tests.bench.serving.preparing import prepare
from tests.bench.serving.stand import Stand, standing
from tests.bench.serving.throughput import throughput

SCENARIOS: Final[dict[str, Callable[[Stand], dict[str, Any]]]] = {"throughput": throughput}


def main() -> None:
    """Run scenarios for each arm."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", choices=[*SCENARIOS, []], help="default: all")
    parser.add_argument("--folder", type=Path, default=Path("var/bench-serving"), help="what is trained once")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    chosen = parser.parse_args()
    prepared = prepare(chosen.folder)
    for arm in chosen.arms:
        with standing(ARMS[arm], prepared) as stand:
            for name in chosen.scenarios or SCENARIOS:
                started_s = time.monotonic()
                figures = SCENARIOS[name](stand)
                print(f"{arm}, {name}: {time.monotonic() - started_s:.0f} s")
                print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
