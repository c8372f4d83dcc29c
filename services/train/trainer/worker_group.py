"""Several processes that train one network, over the process group that whoever started them has set up: gloo on processors, NCCL on GPUs.

Invariant: all take part in the same exchanges in the same order, and each exchange begins with a word from everybody that all is well. Whoever fails
between two exchanges says so in the next one (`fail`), and all others end there with its failure: nobody waits for a process that will not come.
What ends without a word is noticed by the process group, whose timeout is the last resort; then all others end with GroupLostError, as does whoever
fails within an exchange, where nothing can be told.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from services.train.events import Failure
from services.train.trainer.devices import training_device
from services.train.trainer.failures import GroupLostError, PeerFailedError, failure_of

_BUCKET_BYTES = (
    25 * 2**20
)  # gradients that are sent at once: enough to fill a network, and little beside the weights

T = TypeVar("T")


class Group:
    """See Workers: one of the `distributed.get_world_size()` processes, the first of which leads."""

    def __init__(self) -> None:
        """The default process group has been set up."""
        self._rank, self._size = distributed.get_rank(), distributed.get_world_size()
        self._together = True
        self._wish = self._agreed = False

    @property
    def leads(self) -> bool:
        """See Workers."""
        return self._rank == 0

    def share(self, batch: Sequence[int]) -> Sequence[int]:
        """See Workers. Every n-th: batches have windows of one length beside each other, so that all shares are about as long."""
        return batch[self._rank :: self._size]

    def summed(self, loss: float, parameters: Iterable[nn.Parameter]) -> float:
        """See Workers. A parameter that no process has a gradient of keeps none."""
        learning = [each for each in parameters if each.requires_grad]
        told = [loss, float(self._wish), *(float(each.grad is not None) for each in learning)]
        total, wish, *present = self._all_well(told)
        self._agreed = wish > 0
        gradients = [_gradient(each) for each, count in zip(learning, present, strict=True) if count]
        with self._exchange():
            for bucket in _buckets(gradients):
                flat = torch.cat([each.flatten() for each in bucket])
                distributed.all_reduce(flat)
                for gradient, sums in zip(
                    bucket, torch.split(flat, [each.numel() for each in bucket]), strict=True
                ):
                    gradient.copy_(sums.view_as(gradient))
        return total

    def of_leader(self, do: Callable[[], T]) -> T:
        """See Workers."""
        result: list[Any] = [do() if self.leads else None]
        self._all_well([])
        with self._exchange():
            distributed.broadcast_object_list(result)
        value: T = result[0]
        return value

    def agreed(self, ask: Callable[[], bool]) -> bool:
        """See Workers. The wish travels with the next step's gradients."""
        if self.leads:
            self._wish = ask()
        return self._agreed

    def draw_apart(self, seed: int) -> None:
        """See Workers. The one that leads draws what it would alone, and goes on so from a checkpoint."""
        if not self.leads:
            torch.manual_seed(seed + self._rank)

    def part(self) -> None:
        """See Workers. Nobody leaves before all are here: who has left cannot hear of a failure."""
        self._all_well([])
        self._together = False

    def fail(self, error: Exception) -> None:
        """Tell the others that this process ends for `error`, unless they know, or have parted. Raises GroupLostError where they cannot be told."""
        if self._together:
            self._together = False
            with self._exchange():
                distributed.all_reduce(_numbers([1.0]))
                distributed.all_gather_object([None] * self._size, failure_of(error, None).model_dump_json())

    def _all_well(self, told: list[float]) -> list[float]:
        """Return the sums of what all tell. Raises PeerFailedError where one of them fails instead."""
        with self._exchange():
            failed = _numbers([0.0])
            distributed.all_reduce(failed)
            if failed.item():
                self._hear_failure()
            sums = _numbers(told)
            if told:
                distributed.all_reduce(sums)
        return sums.tolist()

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        """What the processes do together. Raises GroupLostError where this one cannot, and PeerFailedError."""
        try:
            yield
        except BaseException as error:
            self._together = False  # there is nobody to tell, or everybody knows
            if isinstance(error, PeerFailedError) or not isinstance(error, Exception):
                raise
            raise GroupLostError(f"the workers have lost each other: {error}") from error

    def _hear_failure(self) -> None:
        told: list[str | None] = [None] * self._size
        distributed.all_gather_object(told, None)
        raise PeerFailedError(next(Failure.model_validate_json(each) for each in told if each))


def _numbers(values: list[float]) -> Tensor:
    """In double precision: a loss that is a sum of shares is that of the batch."""
    return torch.tensor(values, dtype=torch.float64, device=training_device())


def _gradient(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:  # of a process whose share was empty
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _buckets(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    size_bytes = 0
    for each in gradients:
        if bucket and size_bytes + each.nbytes > _BUCKET_BYTES:
            yield bucket
            bucket, size_bytes = [], 0
        bucket.append(each)
        size_bytes += each.nbytes
    if bucket:
        yield bucket
