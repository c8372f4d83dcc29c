"""The README tells of every setting and every metric, and of none that is gone."""

import prometheus_client.metrics
import pytest

from shared.telemetry import metrics
from tests.architecture.readme import first_cells
from tests.architecture.settings_classes import SETTINGS, variables


def test_every_setting_stands_in_the_readme() -> None:
    """The README's tables below `Settings` have one row for each variable and no other."""
    known = {variable for service in SETTINGS for variable in variables(service)}
    assert sorted(first_cells("Settings")) == sorted(known)


@pytest.mark.parametrize("service", SETTINGS)
def test_every_setting_has_its_prefix(service: str) -> None:
    """A variable of one service cannot be taken for the other's: only the folders that both use have a common name."""
    prefix = f"TAGSMITH_{service.upper()}_"
    others = {name for name in variables(service) if not name.startswith(prefix)}
    assert others <= {"TAGSMITH_STORE", "TAGSMITH_BASES_DIR"}


def exported_metrics() -> list[str]:
    """Return the names of all metrics as Prometheus shows them."""
    kinds = prometheus_client.metrics.MetricWrapperBase
    families = [each.describe()[0] for each in vars(metrics).values() if isinstance(each, kinds)]
    return sorted(f"{family.name}_total" if family.type == "counter" else family.name for family in families)


def test_every_metric_stands_in_the_readme() -> None:
    """The README's tables below `Metrics` have one row for each metric and no other."""
    assert exported_metrics()
    assert sorted(first_cells("Metrics")) == exported_metrics()


def test_every_metric_has_our_prefix_and_a_unit() -> None:
    """Names start with `tagsmith_`; times are in seconds and counters end with `_total`, as Prometheus asks."""
    assert all(name.startswith("tagsmith_") for name in exported_metrics())
    assert not [name for name in exported_metrics() if name.endswith(("_ms", "_milliseconds", "_minutes"))]
