"""Names: what is read is what was built, and nothing else is accepted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import NameMalformedError
from shared.names import (
    AliasName,
    DatasetName,
    VersionName,
    check_id,
    check_job_id,
    new_job_id,
    parse_reference,
)

_IDS = st.from_regex(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)


@given(_IDS, st.integers(1, 9_999_999))
def test_a_version_is_read_as_it_was_written(model: str, number: int) -> None:
    """`name@number` round-trips, through both readers."""
    name = VersionName(model, number)
    assert VersionName.parse(str(name)) == name
    assert parse_reference(str(name)) == name


@given(_IDS, _IDS)
def test_an_alias_never_reads_as_a_version(model: str, alias: str) -> None:
    """Digits are versions and letters aliases, so one slot holds both."""
    assert parse_reference(f"{model}@{alias}") == AliasName(model, alias)


def test_a_bare_name_means_production() -> None:
    """The default alias is `production`."""
    assert parse_reference("banking") == AliasName("banking", "production")


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "Banking",
        "1bank",
        "bank_ing",
        "bank ing",
        "../etc",
        "a/b",
        "a" * 64,
        "bank-",
        "bänk",
        "a\n",
        "a@",
        "a@0",
        "a@01",
        "a@b@c",
        "a@12345678",
    ],
)
def test_a_malformed_reference_names_the_field(bad: str) -> None:
    """Nothing that could leave its folder, and nothing ambiguous, is a name."""
    with pytest.raises(NameMalformedError) as caught:
        parse_reference(bad, field="spec.model")
    assert caught.value.metadata["field"] == "spec.model"


@given(st.text(max_size=70))
def test_an_accepted_id_is_always_one_safe_path_segment(text: str) -> None:
    """Ids become folder names: no separator, no dots, no case, no surprise."""
    try:
        accepted = check_id(text, field="model")
    except NameMalformedError:
        return
    assert set(accepted) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert 1 <= len(accepted) <= 63


def test_datasets_and_jobs_round_trip() -> None:
    """Snapshots carry their digest; job ids their form."""
    digest = "ab" * 32
    assert str(DatasetName.parse(f"support@sha256:{digest}")) == f"support@sha256:{digest}"
    assert DatasetName.parse("support") == DatasetName("support")
    assert check_job_id(new_job_id())
    for bad in ("support@sha1:ab", "support@sha256:AB", "support@7"):
        with pytest.raises(NameMalformedError):
            DatasetName.parse(bad)
    with pytest.raises(NameMalformedError):
        check_job_id("job-1")
