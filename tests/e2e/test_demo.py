"""The demo as a whole, from the real base: what `make demo` runs once everything is installed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT_S = 240  # on two cores that have nothing else to do


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_trains_serves_and_answers_in_four_minutes(tmp_path: Path) -> None:
    """It ends well in its time, both models are published and answer, and proxies to nowhere do not matter: it needs no network."""
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    run = subprocess.run(
        [sys.executable, "-m", "services.cli.demo"],
        cwd=tmp_path,
        env={**os.environ, **nowhere, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    seconds = re.search(r"Done in (\d+) s", run.stdout)
    assert seconds
    assert int(seconds[1]) < LIMIT_S
    assert run.stdout.count("published") == 2
    accuracies = [float(value) for value in re.findall(r"(?:accuracy|span_f1) +(0\.\d+|1\.0+)", run.stdout)]
    assert min(accuracies) > 0.7
