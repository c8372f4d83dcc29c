"""Prints the README's accuracy table from the result files, or with `--write` puts it there."""

import json
import sys
from pathlib import Path

from tests.bench.accuracy import RESULTS, ROWS

README = Path(__file__).parents[2] / "README.md"
_BEGIN, _END = "<!-- table: python -m tests.bench.table -->\n", "<!-- end of table -->"


def table() -> str:
    """Return the table of every row that has a result file."""
    lines = [
        "| Data set | Adaptable | Metric | Tagsmith | Baselines | Test rows | Dataset digest | Import and training | Command |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    results = [json.loads(path.read_text()) for name in ROWS if (path := RESULTS / f"{name}.json").exists()]
    for result in results:
        name, _, digest = result["dataset"].partition("@sha256:")
        baselines = "<br>".join(f"{each['name']} {100 * each['test']:.1f}" for each in result["baselines"])
        cells = (
            name,
            "on" if result["adaptable"] else "off",
            result["metric"].replace("_", " "),
            f"**{100 * result['score']:.1f}**",
            baselines or "none",
            str(result["row_count"]),
            f"`{digest[:12]}`",
            f"{result['import_and_training_s']:.0f} s",
            f"`{result['command']}`",
        )
        lines.append(f"| {' | '.join(cells)} |")
    hardware = sorted({result["hardware"] for result in results})
    return "\n".join([*lines, "", f"Measured on {'; '.join(hardware)}.", ""])


def documented() -> str:
    """Return the table that the README has now."""
    text = README.read_text()
    return text[text.index(_BEGIN) + len(_BEGIN) : text.index(_END)]


def main(arguments: list[str]) -> None:
    """Print or write the table."""
    if arguments == ["--write"]:
        README.write_text(README.read_text().replace(documented(), table()))
    else:
        print(table())


if __name__ == "__main__":
    main(sys.argv[1:])
