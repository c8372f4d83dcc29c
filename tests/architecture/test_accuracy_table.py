"""The README's accuracy table is what the benchmarks' result files say."""

from tests.bench.table import documented, table


def test_the_table_is_made_from_the_result_files() -> None:
    """No figure stands there that no benchmark wrote."""
    assert documented() == table()
