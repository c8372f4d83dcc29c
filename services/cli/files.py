"""Writing what a command was asked for: all of it or, where something is in the way, nothing."""

from collections.abc import Mapping
from pathlib import Path

from services.cli.failures import local_error


def check_free(paths: list[Path], *, force: bool) -> None:
    """Raise CommandError if one of `paths` is there and may not be written over, before anything is written."""
    taken = [path for path in paths if path.exists()]
    if taken and not force:
        raise local_error("FILE_EXISTS", f"{taken[0]} is there already", file=str(taken[0]))


def write_files(contents: Mapping[Path, bytes], *, force: bool) -> None:
    """Write every file; folders are made. Raises CommandError if one is there already, or cannot be written."""
    check_free(list(contents), force=force)
    for path, content in contents.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise local_error(
                "FILE_UNWRITABLE", f"{path} cannot be written: {error.strerror}", file=str(path)
            ) from None
