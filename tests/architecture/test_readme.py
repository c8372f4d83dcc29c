"""The README tells of every setting, default, metric and guarantee as they are, and of none that is gone."""

from dataclasses import asdict

import prometheus_client.metrics
import pytest

from services.train.presets import STANDARD
from services.train.recipes import DEFAULT_MAX_TOKENS, TASKS, unused_knobs
from services.train.spec import Hyperparameters, RecipeName
from shared.telemetry import metrics
from tests.architecture.readme import quoted, rows, section
from tests.architecture.settings_classes import SETTINGS, variables
from tests.architecture.test_guarantees import PROVED

ALL_VARIABLES = {name: field for service in SETTINGS for name, field in variables(service).items()}


def test_every_setting_stands_in_the_readme() -> None:
    """The README's tables below `Settings` have one row for each variable and no other."""
    assert sorted(quoted(name) for name, *_ in rows("Settings")) == sorted(ALL_VARIABLES)


def test_every_default_is_the_readmes() -> None:
    """A default that the README quotes is the one in force, and what it calls required has none."""
    told = {quoted(name): default for name, default, _ in rows("Settings")}
    in_force = {
        name: "required" if field.is_required() else str(field.default).lower()
        for name, field in ALL_VARIABLES.items()
    }
    checked = {
        name for name, default in told.items() if quoted(default) or "required" in (default, in_force[name])
    }
    assert len(checked) > len(told) / 2
    assert {name: (quoted(told[name]) or told[name]).lower() for name in checked} == {
        name: in_force[name] for name in checked
    }


@pytest.mark.parametrize("service", SETTINGS)
def test_every_setting_has_its_prefix(service: str) -> None:
    """A variable of one service cannot be taken for the other's: only the folders that both use have a common name."""
    prefix = f"TAGSMITH_{service.upper()}_"
    others = {name for name in variables(service) if not name.startswith(prefix)}
    assert others <= {"TAGSMITH_STORE", "TAGSMITH_BASES_DIR"}


def exported_metrics() -> dict[str, tuple[str, ...]]:
    """Return the labels of all metrics by the names that Prometheus shows."""
    kinds = prometheus_client.metrics.MetricWrapperBase
    found: dict[str, tuple[str, ...]] = {}
    for each in vars(metrics).values():
        if isinstance(each, kinds):
            (family,) = each.describe()
            found[f"{family.name}_total" if family.type == "counter" else family.name] = each._labelnames
    return found


def test_every_metric_stands_in_the_readme() -> None:
    """The README's table below `Metrics` has one row for each metric, with its labels, and no other."""
    told = {
        quoted(name): () if labels == "–" else tuple(label.strip() for label in labels.split(","))
        for name, labels, _ in rows("Metrics")
    }
    assert exported_metrics()
    assert told == exported_metrics()


def test_every_metric_has_our_prefix_and_a_unit() -> None:
    """Names start with `tagsmith_` and times are in seconds, as Prometheus asks."""
    assert all(name.startswith("tagsmith_") for name in exported_metrics())
    assert not [name for name in exported_metrics() if name.endswith(("_ms", "_milliseconds", "_minutes"))]


def test_every_guarantee_stands_in_the_readme() -> None:
    """The README prints exactly the guarantees that a test of their name proves."""
    assert [guarantee for guarantee, _ in rows("Guarantees")] == list(PROVED)


PRESET_OF_COLUMN: dict[str, tuple[RecipeName, bool]] = {
    "Classifier": ("transformer-classifier", True),
    "Classifier, frozen": ("transformer-classifier", False),
    "Extractor": ("entity-extractor", True),
    "Extractor, frozen": ("entity-extractor", False),
    "RNN": ("rnn-classifier", True),
}


def test_every_recipes_default_stands_in_the_readme() -> None:
    """The README's table of defaults has a column for each recipe, adaptable and frozen, with exactly the presets' numbers."""
    head = next(line for line in section("Recipes' defaults").splitlines() if line.startswith("|"))
    columns = [cell.strip() for cell in head.strip("|").split("|")][1:]
    table = rows("Recipes' defaults")
    told = {
        PRESET_OF_COLUMN[column]: {quoted(knob): cells[index] for knob, *cells in table}
        for index, column in enumerate(columns)
    }

    def shown(recipe: RecipeName, *, adaptable: bool) -> dict[str, str]:
        knobs = asdict(STANDARD[recipe, adaptable])
        fewest, most = knobs["epochs"]
        (task, *_) = TASKS[recipe]
        unused = dict.fromkeys(unused_knobs(recipe, task, adaptable=adaptable).keys() & knobs.keys(), "–")
        shape = knobs.pop("recurrent")
        numbers = {knob: str(value) for knob, value in knobs.items()}
        numbers["recurrent"] = ", ".join(f"{k} {v}" for k, v in shape.model_dump().items()) if shape else "–"
        return {**numbers, "epochs": f"{fewest}–{most}", "max_tokens": str(DEFAULT_MAX_TOKENS), **unused}

    assert told == {(recipe, adaptable): shown(recipe, adaptable=adaptable) for recipe, adaptable in STANDARD}
    assert len(table) == len({knob for knob, *_ in table})


def test_every_hyperparameter_has_a_default_in_the_readme() -> None:
    """Below `Recipes' defaults`, each knob of a request stands in the table or in the text that says what it follows."""
    text = section("Recipes' defaults")
    assert [knob for knob in Hyperparameters.model_fields if f"`{knob}`" not in text] == []
