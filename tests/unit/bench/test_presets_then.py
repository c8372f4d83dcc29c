"""Results of a preset that came before today's are marked."""

from services.train.presets import STANDARD
from shared.stubs.training.v1 import training_pb2 as pb
from tests.bench.presets_then import MARK, mark

TODAY = STANDARD["transformer-classifier", True].knobs()


def test_what_was_measured_with_todays_numbers_has_no_mark() -> None:
    """Whatever else is told of it; knobs without effect may differ."""
    assert mark(pb.CLASSIFICATION, {**TODAY, "max_epochs": 3}, adaptable=True) == ""
    assert mark(pb.MULTI_LABEL, {**TODAY, "label_smoothing": 0.5}, adaptable=True) == ""
    frozen = STANDARD["transformer-classifier", False].knobs()
    assert mark(pb.CLASSIFICATION, {**frozen, "layer_decay": 0.3}, adaptable=False) == ""


def test_another_number_is_marked_and_so_is_one_that_could_not_be_chosen_then() -> None:
    """Specs from before a knob was there did as the knob's own default does."""
    assert mark(pb.CLASSIFICATION, {**TODAY, "layer_decay": 0.9}, adaptable=True) == MARK
    before = {knob: value for knob, value in TODAY.items() if knob != "unfreezing_share"}
    assert mark(pb.CLASSIFICATION, before, adaptable=True) == MARK
    extractor = STANDARD["entity-extractor", True].knobs()
    before = {knob: value for knob, value in extractor.items() if knob != "unfreezing_share"}
    assert mark(pb.ENTITIES, before, adaptable=True) == ""
