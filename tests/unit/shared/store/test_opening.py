"""Which settings open which store."""

from pathlib import Path

import pytest

from shared.errors import FieldInvalidError
from shared.store import open_store


@pytest.mark.parametrize("form", ["{path}", "file://{path}", "file://localhost{path}"])
def test_a_folder_is_opened(tmp_path: Path, form: str) -> None:
    """A path and a file URL of it are the same store; the folder is made."""
    root = tmp_path / "my store"
    open_store(form.format(path=str(root).replace(" ", "%20" if "file:" in form else " "))).create(
        "a/b", b"x"
    )
    assert (root / "a/b").read_bytes() == b"x"


def test_a_relative_path_stays_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path means the working folder of the moment of opening, also after that changes."""
    monkeypatch.chdir(tmp_path)
    objects = open_store("store")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    objects.create("a", b"x")
    assert (tmp_path / "store/a").read_bytes() == b"x"


@pytest.mark.parametrize(
    "url", ["", "s3://key:secret@bucket/x", "s3://", "http://host/x", "file://host/x", "file://"]
)
def test_other_urls_are_refused(url: str) -> None:
    """What cannot be opened is FIELD_INVALID with a clear word, and a password in it is not repeated."""
    with pytest.raises(FieldInvalidError) as caught:
        open_store(url)
    assert caught.value.metadata["field"] == "store"
    assert "secret" not in caught.value.message + caught.value.metadata["value"]
