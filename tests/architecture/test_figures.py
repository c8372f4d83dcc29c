"""The README's tables and picture are what the benchmarks' result files say."""

from pathlib import Path

import pytest

from tests.bench.few_rows import PICTURE, draw_picture
from tests.bench.table import TABLES, documented


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_made_from_the_result_files(name: str) -> None:
    """No figure stands there that no benchmark wrote."""
    assert documented(name)
    assert documented(name) == TABLES[name]()


def test_the_picture_is_drawn_from_the_result_files(tmp_path: Path) -> None:
    """Drawn again, it is the same."""
    draw_picture(tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_bytes() == PICTURE.read_bytes()
