"""Hyperparameters that others, the base or the rows leave without an effect: refused where the caller sets them, done without where not. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.train.catalogue import BaseModelEntry
from services.train.jobs.order import Order
from services.train.spec import Hyperparameters
from shared.store.datasets import Snapshot


@dataclass(frozen=True, slots=True)
class IdleKnob:
    """A knob without an effect."""

    name: str
    why: str
    unset: Any  # its value in a spec that does without: that spec, submitted again, sets nothing idle


def idle_knobs(
    chosen: Hyperparameters,
    defaults: Hyperparameters,
    order: Order,
    base: BaseModelEntry | None,
    snapshot: Snapshot,
) -> Iterator[IdleKnob]:
    """Yield those of `chosen`; `defaults` are what it would be if the order set nothing."""
    if base is not None and chosen.frozen_layers >= base.layer_count and chosen.unfreezing_share:
        why = f"has no effect: frozen_layers holds all {base.layer_count} layers of {base.id}"
        yield IdleKnob("unfreezing_share", why, 0.0)
    micro, searched = chosen.micro_batch_size, (order.search or {}).get("knobs", ())
    if micro is not None and micro > chosen.batch_size and "batch_size" not in searched:
        yield IdleKnob("micro_batch_size", f"has no effect over batch_size, {chosen.batch_size}", None)
    refusable = sum(snapshot.splits[split].out_of_scope_count for split in ("train", "validation"))
    usual = defaults.most_refused_share
    if snapshot.task == "classification" and not refusable and chosen.most_refused_share != usual:
        why = "has no effect without out-of-scope rows in train or validation"
        yield IdleKnob("most_refused_share", why, usual)
