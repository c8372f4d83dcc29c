"""Prints the README's accuracy table from the result files, or with `--write` puts it there."""

import json
import sys
from pathlib import Path

from tests.bench.rows import OURS, RESULTS, ROWS, Arm, RowSpec, verdict

README = Path(__file__).parents[2] / "README.md"
_BEGIN, _END = "<!-- table: python -m tests.bench.table -->\n", "<!-- end of table -->"


def table() -> str:
    """Return the table of every row that has a result file."""
    lines = [
        "| Data set | Adaptable | Metric | Tagsmith | Aim | Baselines | Verdict | Test rows | Dataset digest | Import and training | Command |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    hardware: set[str] = set()
    for name, row in ROWS.items():
        path = RESULTS / f"{name}.json"
        arms = json.loads(path.read_text())["arms"] if path.exists() else {}
        if OURS not in arms:
            continue
        ours = arms[OURS]
        hardware |= {each["hardware"] for each in arms.values()}
        dataset, _, digest = ours["dataset"].partition("@sha256:")
        baselines = [
            f"{arms[each]['name']} {_figures(row, arms[each])}" for each in row.baselines if each in arms
        ]
        cells = (
            dataset,
            {True: "on", False: "off", None: "from scratch"}[row.adaptable],
            ", ".join((row.metric, *row.beside)).replace("_", " "),
            f"**{_figures(row, ours)}**",
            f"{100 * row.aim:.1f}" if row.aim else "",
            "<br>".join(baselines),
            verdict(row, arms),
            str(ours["row_count"]),
            f"`{digest[:12]}`",
            f"{ours['import_and_training_s']:.0f} s",
            f"`python -m tests.bench.accuracy {name}`",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Measured on {'; '.join(sorted(hardware))}.", ""])


def _figures(row: RowSpec, arm: Arm) -> str:
    figures = (arm["test"], *(arm["metrics"][metric] for metric in row.beside))
    return ", ".join(f"{100 * figure:.1f}" for figure in figures)


def documented() -> str:
    """Return the table that the README has now."""
    return README.read_text().partition(_BEGIN)[2].partition(_END)[0]


def main(arguments: list[str]) -> None:
    """Print or write the table."""
    if arguments != ["--write"]:
        print(table())
        return
    before, begin, rest = README.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    README.write_text(f"{before}{begin}{table()}{end}{after}")


if __name__ == "__main__":
    main(sys.argv[1:])
