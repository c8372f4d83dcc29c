"""The cost grid: what it makes of measurements, however noisy."""

from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.infer.cost import Cell, CostGrid, best_size
from tests.unit.infer.batching.grids import COUNTS, LENGTHS, like_minilm, per_run, per_token

ALMOST = 1 + 1e-9  # of a number that was computed on two ways


@st.composite
def noisy_grids(draw: st.DrawFn) -> CostGrid:
    """Any times at all; as measured, the larger batches are missing where texts are long."""
    batch_tokens = draw(st.sampled_from((8, 64, 512, 16_384)))
    lengths = draw(st.lists(st.sampled_from(LENGTHS), min_size=1, unique=True))
    sizes = [size for size in product(COUNTS, lengths) if size[0] == 1 or size[0] * size[1] <= batch_tokens]
    times_ms = draw(st.lists(st.floats(0.01, 1000), min_size=len(sizes), max_size=len(sizes)))
    cells = [Cell(*size, ms) for size, ms in zip(sizes, times_ms, strict=True)]
    return CostGrid(draw(st.permutations(cells)))


any_count, any_length = st.integers(1, 80), st.integers(1, 600)


def test_what_was_measured_is_told_as_it_was() -> None:
    """Where the measurements are without noise, every cell is predicted exactly."""
    grid = like_minilm()
    assert len(grid.cells) > 20
    assert [grid.run_ms(cell.windows, cell.tokens) for cell in grid.cells] == [cell.ms for cell in grid.cells]


def test_between_cells_time_is_interpolated_both_ways() -> None:
    """Halfway in count, in length, and in both."""
    grid = CostGrid([Cell(2, 10, 4.0), Cell(4, 10, 8.0), Cell(2, 20, 6.0), Cell(4, 20, 14.0)])
    assert (grid.run_ms(3, 10), grid.run_ms(2, 15), grid.run_ms(3, 15)) == (6, 5, 8)


def test_beyond_the_cells_time_grows_with_the_tokens() -> None:
    """Twice the windows or twice the length of the largest cell take twice its time."""
    grid = CostGrid([Cell(1, 8, 1.0), Cell(4, 8, 3.0), Cell(1, 64, 7.0)])
    assert (grid.run_ms(8, 8), grid.run_ms(1, 128), grid.run_ms(3, 64)) == (6, 14, 21)


@settings(max_examples=400, deadline=None)
@given(grid=noisy_grids(), counts=st.tuples(any_count, any_count), lengths=st.tuples(any_length, any_length))
@example(
    grid=CostGrid([Cell(1, 8, 1.0), Cell(8, 8, 100.0), Cell(1, 16, 1.0), Cell(4, 16, 4.0)]),
    counts=(8, 8),
    lengths=(8, 9),
)
@example(grid=CostGrid([Cell(1, 8, 2.0), Cell(1, 16, 1.0)]), counts=(1, 1), lengths=(8, 9))
def test_a_larger_run_never_takes_less_time(
    grid: CostGrid, counts: tuple[int, int], lengths: tuple[int, int]
) -> None:
    """In windows, in length and in both, however noisy the measurements were."""
    small, large = (min(counts), min(lengths)), (max(counts), max(lengths))
    assert 0 < grid.run_ms(*small) <= grid.run_ms(*large) * ALMOST


@given(grid=noisy_grids(), tokens=any_length)
def test_a_window_costs_at_most_what_it_costs_alone(grid: CostGrid, tokens: int) -> None:
    """Its share of the best batch is above nothing and never more than a run of its own."""
    assert 0 < grid.window_ms(tokens) <= grid.run_ms(1, tokens) * ALMOST


def test_a_window_costs_its_share_of_the_batch_that_suits_its_length() -> None:
    """Batches of 8 are best for short ones here, single runs for long ones."""
    grid = CostGrid(
        [Cell(1, 8, 2.0), Cell(8, 8, 4.0), Cell(16, 8, 16.0), Cell(1, 64, 8.0), Cell(8, 64, 80.0)]
    )
    assert (grid.window_ms(8), grid.window_ms(64)) == (0.5, 8.0)


def test_a_token_costs_what_it_costs_in_the_best_cell() -> None:
    """For what is known only by its tokens."""
    assert CostGrid([Cell(1, 8, 4.0), Cell(8, 8, 16.0), Cell(1, 64, 32.0)]).token_ms == 0.25
    assert (per_token(3.0).token_ms, per_run(5.0).run_ms(100, 100)) == (3.0, 5.0)


@given(
    costs_ms=st.lists(st.floats(0.1, 1000), min_size=1, max_size=40),
    data=st.data(),
)
def test_the_fewest_windows_near_the_best_are_taken(costs_ms: list[float], data: st.DataObject) -> None:
    """The chosen batch costs for a token at most 2 % more than the best one, and every smaller one costs more than that."""
    lengths = data.draw(st.lists(st.integers(1, 300), min_size=len(costs_ms), max_size=len(costs_ms)))
    tokens = [sum(lengths[: place + 1]) for place in range(len(lengths))]
    rates = [cost_ms / real for cost_ms, real in zip(costs_ms, tokens, strict=True)]
    size = best_size(costs_ms, tokens)
    assert 1 <= size <= len(costs_ms)
    assert rates[size - 1] <= 1.02 * min(rates)
    assert all(rate > 1.02 * min(rates) for rate in rates[: size - 1])


@pytest.mark.parametrize(
    ("costs_ms", "size"),
    [
        ([5.0], 1),
        ([8.0, 8.0, 8.0], 3),
        ([8.0, 16.0, 24.0], 1),
        ([8.0, 15.9, 23.9], 1),
        ([8.0, 12.0, 20.0], 2),
    ],
)
def test_examples_of_sizes(costs_ms: list[float], size: int) -> None:
    """Of windows of 8 tokens: what costs nothing more comes along, what gains less than 2 % does not wait."""
    assert best_size(costs_ms, [8 * count for count in range(1, len(costs_ms) + 1)]) == size
