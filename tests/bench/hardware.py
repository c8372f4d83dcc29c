"""The machine that figures were measured on, in words."""

import json
import os
import subprocess
from platform import system


def hardware() -> str:
    """Name the machine, for the tables."""
    described = json.loads(
        subprocess.run(["lscpu", "--json"], capture_output=True, text=True, check=True).stdout
    )
    fields = {each["field"]: each["data"] for each in described["lscpu"]}
    cpu = fields.get("Model name:", "CPU")
    return f"{len(os.sched_getaffinity(0))} cores of {cpu}, {system()}, no GPU"
