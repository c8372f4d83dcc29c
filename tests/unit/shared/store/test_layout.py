"""Keys: what they look like, and that nothing else becomes one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import NameMalformedError, TagsmithError
from shared.names import VersionName
from shared.store import layout


def test_keys_are_those_of_the_layout() -> None:
    """The layout of a store is a contract: other programs, and older Tagsmiths, find the same things at the same keys."""
    digest = "ab" * 32
    version = VersionName("banking", 7)
    assert layout.blob(digest) == f"blobs/sha256/ab/{digest}"
    assert layout.reservation(version) == "models/banking/versions/0000007/reserved.json"
    assert layout.manifest(version) == "models/banking/versions/0000007/manifest.json"
    assert (
        layout.numbered(layout.alias("banking", "production"), 12)
        == "models/banking/aliases/production/00000012.json"
    )
    assert layout.split_rows("support", digest, "train") == f"datasets/support/{digest}/train.jsonl"
    assert layout.snapshot("support", digest) == f"datasets/support/{digest}/snapshot.json"
    assert layout.numbered(layout.latest("support"), 3) == "datasets/support/latest/00000003.json"


@given(sequence=st.integers(1, 10**12))
def test_numbers_come_back(sequence: int) -> None:
    """The number of a record is read from its key, also beyond eight digits."""
    assert layout.sequence_of(layout.numbered("a/b", sequence)) == sequence


@pytest.mark.parametrize("name", ["1.json", "0000001x.json", "00000001.json.tmp", "00000001", "notes"])
def test_other_files_have_no_number(name: str) -> None:
    """A foreign file in a folder of records counts as nothing."""
    assert layout.sequence_of(f"a/{name}") == 0


@given(text=st.text(max_size=12))
def test_no_text_leads_out(text: str) -> None:
    """Whatever text is given as a name or a key: it is refused, or every segment is plain."""
    for build in (layout.versions, layout.aliases, layout.latest, layout.blob, lambda text: text):
        try:
            segments = layout.split_key(build(text))
        except TagsmithError:
            continue
        assert all(segment.isascii() and segment[0].isalnum() and "/" not in segment for segment in segments)


def test_digests_are_checked() -> None:
    """Only 64 lower-case hexadecimal digits are a digest."""
    for digest in ("", "AB" * 32, "ab" * 31, "../" + "a" * 61, "ab" * 32 + "\n"):
        with pytest.raises(NameMalformedError):
            layout.blob(digest)
