"""What `tagsmith train` says of gates and continuations that it cannot read."""

import pytest
import typer

from services.cli.policies import read_continuation


@pytest.mark.parametrize(
    ("renames", "told"),
    [
        (["apr"], "'apr' is not OLD=NEW, such as refund=money-back"),
        (["a=b", "apr="], "'apr=' is not OLD=NEW"),
        (["=new"], "'=new' is not OLD=NEW"),
        (["a=b", "a=c"], "name each label once"),
    ],
)
def test_a_rename_has_a_form(renames: list[str], told: str) -> None:
    """What is not of it is quoted; a label that comes twice is another fault."""
    with pytest.raises(typer.BadParameter, match=told):
        read_continuation("m@1", renames, False, None)


def test_renames_are_read() -> None:
    """The new name may hold the sign that parts them."""
    found = read_continuation("m@1", ["a=b=c", "d=e"], False, None)
    assert found is not None
    assert dict(found.label_renames) == {"a": "b=c", "d": "e"}
