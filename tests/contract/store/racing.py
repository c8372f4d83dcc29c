"""Threads that do something at the same moment."""

import threading
from collections.abc import Callable
from typing import TypeVar

from shared.errors import TagsmithError

ResultT = TypeVar("ResultT")


def race(racers: int, work: Callable[[int], ResultT]) -> list[ResultT | TagsmithError]:
    """Call `work(0)` to `work(racers - 1)` at once; return what each returned or which TagsmithError it raised."""
    barrier = threading.Barrier(racers)
    outcomes: dict[int, ResultT | TagsmithError] = {}

    def run(number: int) -> None:
        barrier.wait()
        try:
            outcomes[number] = work(number)
        except TagsmithError as error:
            outcomes[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(racers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outcomes[number] for number in range(racers)]
