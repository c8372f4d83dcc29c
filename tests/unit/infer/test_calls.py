"""What a call may ask."""

import math

import pytest

from services.infer.calls import AnalyzeCall, ClassifyCall, ExtractCall, TextLimits, text_fault
from shared.errors import BatchSizeError, FieldInvalidError, TextEmptyError, TextTooLongError
from shared.names import AliasName

LIMITS = TextLimits(texts=3, code_points=10, models=2)
BANKING = AliasName("banking", "production")


def _call(texts: int = 1, min_score: float = 0.0, top_k: int = 0) -> ClassifyCall:
    return ClassifyCall(
        references=(BANKING,), texts=["x"] * texts, min_score=min_score, top_k=top_k, deadline_s=math.inf
    )


def _analyze(models: int = 1, min_score: float = 0.0, top_k: int = 0) -> AnalyzeCall:
    return AnalyzeCall(
        references=[BANKING] * models,
        texts=["x"],
        min_score=min_score,
        top_k=top_k,
        unit="UTF8_BYTES",
        deadline_s=math.inf,
    )


@pytest.mark.parametrize("texts", [1, 3])
@pytest.mark.parametrize("min_score", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("top_k", [0, 1, 2**31 - 1])
def test_calls_within_the_limits_pass(texts: int, min_score: float, top_k: int) -> None:
    """Both ends of every range are in."""
    _call(texts, min_score, top_k).check(LIMITS)


@pytest.mark.parametrize("texts", [0, 4, 257])
def test_no_text_and_too_many_are_refused(texts: int) -> None:
    """With the count and the limit."""
    with pytest.raises(BatchSizeError) as caught:
        _call(texts).check(LIMITS)
    assert caught.value.metadata == {"field": "texts", "count": str(texts), "limit": "3"}


@pytest.mark.parametrize("min_score", [-0.001, 1.001, math.nan, math.inf, -math.inf])
def test_a_score_out_of_range_is_refused(min_score: float) -> None:
    """In all kinds of calls; NaN is out of every range."""
    extract = ExtractCall(
        references=(BANKING,), texts=["x"], min_score=min_score, unit="UTF8_BYTES", deadline_s=math.inf
    )
    for call in (_call(min_score=min_score), extract, _analyze(min_score=min_score)):
        with pytest.raises(FieldInvalidError) as caught:
            call.check(LIMITS)
        assert caught.value.metadata["field"] == "min_score"


def test_a_negative_top_k_is_refused() -> None:
    """And named."""
    for call in (_call(top_k=-1), _analyze(top_k=-1)):
        with pytest.raises(FieldInvalidError) as caught:
            call.check(LIMITS)
        assert caught.value.metadata == {"field": "top_k", "value": "-1"}


@pytest.mark.parametrize("models", [0, 3, 17])
def test_no_model_and_too_many_are_refused(models: int) -> None:
    """With the count and the limit; as many as the limit may be asked."""
    with pytest.raises(BatchSizeError) as caught:
        _analyze(models=models).check(LIMITS)
    assert caught.value.metadata == {"field": "models", "count": str(models), "limit": "2"}
    _analyze(models=2).check(LIMITS)


@pytest.mark.parametrize("text", ["", " ", "\t\r\n\u00a0\u3000"])
def test_texts_without_anything_to_read_are_empty(text: str) -> None:
    """White space of any script is nothing."""
    fault = text_fault(text, 2, LIMITS)
    assert isinstance(fault, TextEmptyError)
    assert fault.metadata == {"field": "texts[2]"}


@pytest.mark.parametrize("text", ["x", " x ", "\x00", "\u200b", "日本", "😀" * 10])
def test_texts_with_anything_else_can_be_read(text: str) -> None:
    """Length counts in code points: ten emoji are ten."""
    assert text_fault(text, 0, LIMITS) is None


def test_a_long_text_is_refused_without_being_repeated() -> None:
    """The error tells its length and never its words."""
    fault = text_fault("secret " * 2, 0, LIMITS)
    assert isinstance(fault, TextTooLongError)
    assert fault.metadata == {"field": "texts[0]", "code_points": "14", "limit": "10"}
    assert "secret" not in str(fault)
