"""`python -m tests.bench.serving [SCENARIO ...]`: the serving benchmark, whole or the named scenarios.

Prints the README's tables and keeps every figure in the result file. Exits 1 if an aim is missed.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.bench.serving.arms import arms
from tests.bench.serving.heads import heads
from tests.bench.serving.latency import latency
from tests.bench.serving.long_tail import long_tail
from tests.bench.serving.overload import overload
from tests.bench.serving.preparing import FOLDER, prepare
from tests.bench.serving.profile import profile
from tests.bench.serving.promotion import promotion
from tests.bench.serving.quiet import TRIES, Figures, Patience
from tests.bench.serving.results import RESULT, keep
from tests.bench.serving.stand import Stand, standing
from tests.bench.serving.tables import aims_table, speed_table
from tests.bench.serving.throughput import throughput
from tests.bench.serving.workers import end_in_order

SCENARIOS: Final[dict[str, Callable[[Stand], Figures]]] = {
    "throughput": throughput,
    "long-tail": long_tail,
    "latency": latency,
    "overload": overload,
    "heads": heads,
    "promotion": promotion,
    "profile": profile,
}


def main() -> int:
    """Run scenarios for each arm."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.serving", description=__doc__)
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; default: all"
    )
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="default: all of this machine")
    parser.add_argument(
        "--openvino-python", help="an interpreter with onnxruntime-openvino, for the arm bf16"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="what is trained once")
    parser.add_argument("--results", type=Path, default=RESULT, help="the result file")
    parser.add_argument(
        "--tries", type=int, default=TRIES, help="of a measurement that others disturbed; 1: at once"
    )
    chosen = parser.parse_args()
    end_in_order()
    if unknown := set(chosen.scenarios) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    here = arms(chosen.openvino_python)
    if unknown := set(chosen.arms or ()) - set(here):
        parser.error(f"no such arm here: {', '.join(sorted(unknown))}")
    prepared = prepare(chosen.folder)
    for arm in chosen.arms or here:
        if not prepared.has(here[arm].variant):
            print(f"{arm} is left out: no such variant was published here", file=sys.stderr)
            continue
        with standing(here[arm], prepared, Patience(chosen.tries)) as stand:
            for name in chosen.scenarios or SCENARIOS:
                started_s = time.monotonic()
                keep(chosen.results, arm, name, SCENARIOS[name](stand))
                print(f"{arm}, {name}: {time.monotonic() - started_s:.0f} s", file=sys.stderr, flush=True)
    print(speed_table(chosen.results))
    print(aims_table(chosen.results))
    return int(any(not claim["met"] for claim in json.loads(chosen.results.read_text())["claims"]))


if __name__ == "__main__":
    sys.exit(main())
