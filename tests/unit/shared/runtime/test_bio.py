"""BIO paths: always legal, and the best of the legal ones."""

from itertools import product

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.bio import best_path, entity_ranges, is_legal


def legal_by_definition(path: tuple[int, ...]) -> bool:
    """O = 0, B = odd, I = even: I-l follows B-l or I-l."""
    pairs = zip((0, *path), path, strict=False)
    return all(tag == 0 or tag % 2 == 1 or before in (tag - 1, tag) for before, tag in pairs)


def random_scores(seed: int, steps: int, labels: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 3, (steps, 2 * labels + 1)).astype(np.float32)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 2))
def test_the_path_is_the_best_legal_one(seed: int, steps: int, labels: int) -> None:
    """Against every legal path tried one by one."""
    scores = random_scores(seed, steps, labels)
    legal = [path for path in product(range(2 * labels + 1), repeat=steps) if legal_by_definition(path)]

    def total(path: tuple[int, ...] | list[int]) -> float:
        return sum(float(scores[i, tag]) for i, tag in enumerate(path))

    found = best_path(scores)
    assert tuple(found) in legal
    assert total(found) >= max(map(total, legal)) - 1e-9


@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(1, 20))
def test_a_path_is_always_legal(seed: int, steps: int, labels: int) -> None:
    """Whatever the scores, no entity begins with I and none changes its label inside."""
    assert legal_by_definition(tuple(best_path(random_scores(seed, steps, labels))))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_legality_is_the_definition(path: list[int]) -> None:
    """The quick check says what the definition says."""
    assert is_legal(path) == legal_by_definition(tuple(path))


def test_entities_of_a_path() -> None:
    """B begins, I continues, B beside an entity of its own label begins another one."""
    assert entity_ranges([1, 2, 1, 0, 3, 4, 4, 1]) == [(0, 2, 0), (2, 3, 0), (4, 7, 1), (7, 8, 0)]
    assert entity_ranges([0, 0]) == []


def test_an_illegal_best_guess_is_mended() -> None:
    """I alone, best by itself, becomes the better of O and a whole entity."""
    scores = np.array([[0, 1, 0], [0, 0, 4]], np.float32)
    assert best_path(np.array([[2, 1, 0], [0, 0, 4]], np.float32)) == [1, 2]
    assert best_path(scores) == [1, 2]
    assert best_path(np.array([[9, 1, 0], [3, 0, 4]], np.float32)) == [0, 0]
