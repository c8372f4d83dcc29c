"""What of a trainer's events stands in its log too, for people who read that. Pure."""

from services.train.events import Finished, PhaseStarted, Progress, Resumed, Stopped, TrainerEvent


def line_of(event: TrainerEvent) -> str | None:
    """Return the line of an event; None for one that the log says otherwise, or not at all: of its steps it tells the evaluated ones."""
    match event:
        case PhaseStarted():
            return event.phase
        case Progress(evaluated=True):
            trial = f"trial {event.trial}: " if event.trial else ""
            loss = event.loss if event.interval_loss is None else event.interval_loss
            return (
                f"{trial}step {event.step} of {event.total_steps}, epoch {event.epoch}: loss {loss:.4f},"
                f" {event.metric_name} {event.metric:.4f}, best {event.best_metric:.4f}, {event.rows_per_second:.0f} windows/s"
            )
        case Resumed():
            return f"goes on from step {event.step}"
        case Stopped():
            return f"training ended early, at step {event.step}"
        case Finished():
            return "done"
        case _:
            return None
