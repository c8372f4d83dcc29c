"""Where a rollback goes: read out of an alias's moves. Pure."""

from collections.abc import Sequence


def version_before(moves: Sequence[int]) -> int | None:
    """Return the version that an alias had before the one it has; `moves` are its versions, oldest first. None: there is none.

    A move to the version right below is a step back, every other move is a step forward; so rolling back twice goes back two
    versions and never to the one that was just left.
    """
    path: list[int] = []
    for version in moves:
        if len(path) > 1 and path[-2] == version:
            path.pop()
        elif not path or path[-1] != version:
            path.append(version)
    return path[-2] if len(path) > 1 else None
