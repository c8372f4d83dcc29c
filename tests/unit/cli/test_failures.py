"""How errors are said."""

from services.cli.failures import error_lines, error_record, remedy
from shared.errors import DatasetInvalidError, Problem
from shared.rpc.status import CODES, Explained, read_status, to_status


def explained(**changes) -> Explained:
    fields = {
        "code": "NOT_FOUND",
        "reason": "MODEL_NOT_FOUND",
        "message": "no model `x`",
        "metadata": {},
        "problems": (),
        "retry_after_ms": None,
    }
    return Explained(**{**fields, **changes})


def test_an_error_is_one_line_with_its_remedy():
    """Reason, message and what to do, on one line whatever the message holds."""
    assert list(error_lines(explained(message="no model\n`x`"))) == [
        "error: MODEL_NOT_FOUND: no model `x` (`tagsmith models` lists the models)"
    ]


def test_problems_are_listed_and_the_rest_counted():
    """Every problem has its line, up to twenty; the total is told from all that there are."""
    problems = tuple(Problem(f"a.csv:{line}", "is broken") for line in range(1, 31))
    lines = list(
        error_lines(explained(reason="DATASET_INVALID", problems=problems, metadata={"problem_count": "250"}))
    )

    assert lines[1] == "  a.csv:1: is broken"
    assert len(lines) == 22
    assert lines[-1] == "  ... and 230 more"


def test_nothing_is_said_twice():
    """The first problem stands in the list and not in the summary too; a single field's message needs no list."""
    several = explained(
        reason="SPEC_INVALID",
        message="The spec cannot be carried out. First: spec.seed: is too high",
        problems=(Problem("spec.seed", "is too high"), Problem("spec.model", "is of another task")),
    )
    one = explained(
        reason="NAME_MALFORMED",
        message="model: 'A' is not a name",
        problems=(Problem("model", "'A' is not a name"),),
    )
    head, *rest = error_lines(several)

    assert head.startswith("error: SPEC_INVALID: The spec cannot be carried out. (")
    assert rest == ["  spec.seed: is too high", "  spec.model: is of another task"]
    assert len(list(error_lines(one))) == 1


def test_a_failed_connection_is_short():
    """gRPC's long tale of a failed connection is cut to its cause."""
    message = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Connection refused"
    (line,) = error_lines(explained(code="UNAVAILABLE", reason="", message=message))

    assert line.startswith(
        "error: UNAVAILABLE: UNKNOWN: ipv4:127.0.0.1:1: Connection refused (is it running?"
    )


def test_every_reason_has_a_remedy_or_says_it_all():
    """For each reason of the API somebody thought about what a person can do."""
    plain = {
        "BATCH_SIZE_INVALID",
        "FIELD_INVALID",
        "PATH_NOT_ALLOWED",
        "VERSION_CONFLICT",
        "DEADLINE_EXPIRED_IN_QUEUE",
    }

    assert {reason for reason in CODES if not remedy(explained(code="", reason=reason))} == plain


def test_programs_get_everything():
    """The JSON form has every field, whether it is set or not."""
    assert error_record(explained(retry_after_ms=5))["error"] == {
        "code": "NOT_FOUND",
        "reason": "MODEL_NOT_FOUND",
        "message": "no model `x`",
        "metadata": {},
        "problems": [],
        "retry_after_ms": 5,
        "remedy": "`tagsmith models` lists the models",
    }


def test_what_an_error_could_not_carry_is_counted():
    """An answer carries only so many problems; what is not shown is counted, however many came through."""
    for number in (18, 60, 250):
        problems = [Problem(f"a-long-file-name.csv:{line}", "x" * 400) for line in range(1, number + 1)]
        sent = read_status(to_status(DatasetInvalidError("It cannot be used.", problems)))
        lines = list(error_lines(sent))
        shown = [line for line in lines if "a-long-file-name" in line]
        assert len(shown) < number
        assert lines[-1] == f"  ... and {number - len(shown)} more"
