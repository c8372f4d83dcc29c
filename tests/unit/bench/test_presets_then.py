"""Results of a preset that came before today's are marked."""

import json

from shared.stubs.training.v1 import training_pb2 as pb
from tests.bench.presets_then import MARK, mark, preset_today


def test_what_was_measured_with_todays_numbers_has_no_mark() -> None:
    """As a file gives them back, whatever else it tells."""
    today = preset_today(pb.CLASSIFICATION, adaptable=True)
    assert mark(json.loads(json.dumps({"preset": today, "test": 0.9})), today) == ""


def test_another_number_is_marked_and_so_is_a_result_that_does_not_tell() -> None:
    """The number of steps, too, which no knob shows."""
    today = preset_today(pb.ENTITIES, adaptable=True)
    assert mark({"preset": {**today, "steps": today["steps"] + 1}}, today) == MARK
    assert mark({"test": 0.9}, today) == MARK


def test_every_switch_and_preset_has_numbers_of_its_own() -> None:
    """So that a frozen result is not taken for an adaptable one, nor a standard one for another preset's."""
    asked = [
        preset_today(pb.MULTI_LABEL, adaptable=True),
        preset_today(pb.MULTI_LABEL, adaptable=False),
        preset_today(pb.MULTI_LABEL, adaptable=None),
        preset_today(pb.MULTI_LABEL, adaptable=True, preset="cross-lingual"),
        preset_today(pb.ENTITIES, adaptable=True),
    ]
    assert all(one != other for i, one in enumerate(asked) for other in asked[:i])
