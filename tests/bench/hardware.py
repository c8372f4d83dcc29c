"""The machine that figures were measured on, in words."""

import json
import os
import subprocess
from platform import system


def hardware() -> str:
    """Name the machine, and how much of it a training may use, for the tables."""
    described = json.loads(
        subprocess.run(["lscpu", "--json"], capture_output=True, text=True, check=True).stdout
    )
    fields = {each["field"]: each["data"] for each in described["lscpu"]}
    cpu = fields.get("Model name:", "CPU")
    cores = len(os.sched_getaffinity(0))
    threads = int(os.environ.get("OMP_NUM_THREADS", cores))
    told = f"{cores} cores" if threads >= cores else f"{threads} of {cores} cores"
    return f"{told} of {cpu}, {system()}, no GPU"
