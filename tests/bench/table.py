"""Prints the README's tables of figures from the result files, or with `--write` puts them there."""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from tests.bench import ablation, queue, slices, transfer
from tests.bench.against import results as against
from tests.bench.lessons import SIZES
from tests.bench.presets_then import FOOTNOTE, MARK, mark, preset_today
from tests.bench.rows import OURS, RESULTS, ROWS, Arm, RowSpec, complete, verdict
from tests.bench.serving.tables import aims_table, speed_table

README: Final = Path(__file__).parents[2] / "README.md"
_END: Final = "<!-- end of table -->"
_LANGUAGES: Final = {  # SIB-200 names languages as FLORES does
    "arb_Arab": "ar", "deu_Latn": "de", "eng_Latn": "en", "fra_Latn": "fr", "hin_Deva": "hi", "ita_Latn": "it",
    "jpn_Jpan": "ja", "nld_Latn": "nl", "por_Latn": "pt", "rus_Cyrl": "ru", "spa_Latn": "es", "tur_Latn": "tr",
    "vie_Latn": "vi", "zho_Hans": "zh",
}  # fmt: skip


def accuracy_table() -> str:
    """Return the table of every row that has a result file."""
    lines = [
        "| Data set | Adaptable | Metric | Tagsmith | Aim | Baselines | Verdict | Test rows | Dataset digest | Import and training | Command |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    measured: list[Arm] = []
    for name, row, arms in _measured_rows():
        ours = arms[OURS]
        measured += arms.values()
        dataset, _, digest = ours["dataset"].partition("@sha256:")
        baselines = [
            f"{arms[each]['name']} {_figures(row, arms[each])}"
            for each in row.baselines
            if each in complete(arms)
        ]
        lines.append(
            _line(
                dataset,
                {True: "on", False: "off", None: "from scratch"}[row.adaptable],
                ", ".join((row.metric, *row.beside)).replace("_", " "),
                f"**{_figures(row, ours)}**{mark(ours, preset_today(row.task, adaptable=row.adaptable))}",
                ", ".join(
                    f"{100 * row.aims[each]:.1f}" for each in (row.metric, *row.beside) if each in row.aims
                ),
                "<br>".join(baselines),
                verdict(row, arms),
                str(ours["row_count"]),
                f"`{digest[:12]}`",
                f"{ours['import_and_training_s']:.0f} s",
                f"`python -m tests.bench.accuracy {name}`",
            )
        )
    return _with_hardware(lines, measured)


def variants_table() -> str:
    """Return what int8 costs and gains, for every row that was measured with it."""
    lines = [
        "| Data set | Adaptable | Metric | fp32 | int8 | Points lost | Decided otherwise | Moved by batch-mates (validation) | Gate | Speed to fp32 | MB, fp32 → int8 |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    measured: list[Arm] = []
    for _, row, arms in _measured_rows():
        ours = arms[OURS]
        if "int8" not in ours.get("variants", {}):
            continue
        measured.append(ours)
        fp32, int8 = ours["variants"]["fp32"], ours["variants"]["int8"]
        lines.append(
            _line(
                row.dataset,
                "on" if row.adaptable else "off",
                row.metric.replace("_", " "),
                f"{100 * fp32[row.metric]:.2f}",
                f"{100 * int8[row.metric]:.2f}",
                f"{100 * (fp32[row.metric] - int8[row.metric]):.2f}",
                f"{100 * int8['decided_otherwise']:.2f} %",
                f"{100 * int8['gate']['int8.batching']:.2f} %",
                "served" if int8["passed"] else "left out",
                f"{int8['speed_to_fp32']:.2f} x",
                f"{fp32['graph_bytes'] / 1e6:.0f} → {int8['graph_bytes'] / 1e6:.0f}",
            )
        )
    return _with_hardware(lines, measured)


def transfer_table() -> str:
    """Return the score of each language for everything that was trained in English."""
    results = {
        column: json.loads(path.read_text())
        for name, column in transfer.COLUMNS.items()
        if (path := transfer.result_file(name)).exists()
    }
    scores = {
        column: {_LANGUAGES.get(language, language): score for language, score in result["scores"].items()}
        for column, result in results.items()
    }
    found = {language for of_column in scores.values() for language in of_column}
    lines = [
        _line(
            "Language",
            *(f"{column.heading}{mark(result, column.preset_today)}" for column, result in results.items()),
        ),
        "|" + "---|" * (len(results) + 1),
    ]
    lines += [
        _line(
            f"**{language}**" if language in ("en", "de") else language,
            *(f"{100 * each[language]:.1f}" if language in each else "" for each in scores.values()),
        )
        for language in sorted(found, key=lambda each: ({"en": 0, "de": 1}.get(each, 2), each))
    ]
    return _with_hardware(lines, results.values())


def against_table() -> str:
    """Return the recipes beside AutoTrain's and SetFit's, for every data size that was measured."""
    measured = against.results()
    if not measured:
        return "Not measured yet.\n"
    runs = [run for arms in measured.values() for arm in arms.values() for run in arm.values()]
    return _with_hardware(list(against.lines(measured)), runs)


def ablation_table() -> str:
    """Return what each technique is worth with ten rows a label, and of all rows what was measured there."""
    lines = [
        "| Rows | Changed | Test accuracy | Range | To the preset | CPU time, to the preset |",
        "|---|---|---|---|---|---|",
    ]
    runs = []
    for size in SIZES:
        measured = ablation.run_file(size).arms()
        lines += ablation.lines(size, measured)
        runs += [run for of_seed in measured.values() for run in of_seed.values()]
    return _with_hardware(lines, runs)


def queue_table() -> str:
    """What calls cost with a long queue."""
    if not queue.FILE.exists():
        return "Not measured yet.\n"
    record = json.loads(queue.FILE.read_text())
    return _with_hardware(queue.lines(record), [record])


def slices_table() -> str:
    """Return the worst and the best slice of each column of HateCheck and the bias templates."""
    return _with_hardware(list(slices.lines()), [json.loads(slices.RESULT_FILE.read_text())])


def _measured_rows() -> Iterable[tuple[str, RowSpec, dict[str, Arm]]]:
    for name, row in ROWS.items():
        path = RESULTS / f"{name}.json"
        arms = json.loads(path.read_text())["arms"] if path.exists() else {}
        if OURS in arms:
            yield name, row, arms


def _figures(row: RowSpec, arm: Arm) -> str:
    """The test score, its range over the seeds or the interval of the one, and what is told beside it."""
    figures = (arm["test"], *(arm["metrics"][metric] for metric in row.beside))
    told = ", ".join(f"{100 * figure:.1f}" for figure in figures)
    tests = [run["test"] for run in arm.get("runs", {}).values()]
    if len(tests) > 1:
        return f"{told} ({100 * min(tests):.1f}–{100 * max(tests):.1f}, {len(tests)} seeds)"
    low_high = arm.get("interval")
    return told if low_high is None else f"{told} ({100 * low_high[0]:.1f}–{100 * low_high[1]:.1f})"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _with_hardware(lines: list[str], measured: Iterable[dict[str, Any]]) -> str:
    hardware = sorted({each["hardware"] for each in measured})
    if not hardware:
        raise ValueError("there is no result file for a table")
    notes = [FOOTNOTE] if any(MARK in line for line in lines) else []
    return "\n".join([*lines, *notes, "", f"Measured on {'; '.join(hardware)}.", ""])


TABLES: Final[dict[str, Callable[[], str]]] = {
    "accuracy": accuracy_table,
    "variants": variants_table,
    "transfer": transfer_table,
    "ablation": ablation_table,
    "against": against_table,
    "queue": queue_table,
    "slices": slices_table,
    "serving": speed_table,
    "serving-aims": aims_table,
}


def documented(name: str) -> str:
    """Return the table that the README has now."""
    return README.read_text().partition(_begin(name))[2].partition(_END)[0]


def _begin(name: str) -> str:
    return f"<!-- table: python -m tests.bench.table {name} -->\n"


def main(arguments: list[str]) -> None:
    """Print or write the tables."""
    for name, table in TABLES.items():
        if arguments != ["--write"]:
            print(table())
            continue
        before, begin, rest = README.read_text().partition(_begin(name))
        _, end, after = rest.partition(_END)
        README.write_text(f"{before}{begin}{table()}{end}{after}")


if __name__ == "__main__":
    main(sys.argv[1:])
