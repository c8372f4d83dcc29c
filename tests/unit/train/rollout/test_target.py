"""What names the inference servers, and what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.train.rollout.target import MOST_ENDPOINTS, Endpoint, Target, parse_target
from shared.errors import FieldInvalidError


@pytest.mark.parametrize(
    ("text", "endpoints"),
    [
        ("infer:50051", [Endpoint("infer", 50051)]),
        ("127.0.0.1:1", [Endpoint("127.0.0.1", 1)]),
        ("[::1]:65535", [Endpoint("::1", 65535)]),
        ("[2001:DB8:0::1]:80", [Endpoint("2001:db8::1", 80)]),
        ("dns:///infer.ns.svc.cluster.local:50051", [Endpoint("infer.ns.svc.cluster.local", 50051, True)]),
        ("dns:///infer.ns.svc.cluster.local.:50051", [Endpoint("infer.ns.svc.cluster.local.", 50051, True)]),
        ("a:1, dns:///b:2 ,a:3", [Endpoint("a", 1), Endpoint("b", 2, True), Endpoint("a", 3)]),
        ("a:1,A:1,a:1", [Endpoint("a", 1)]),
        ("my_host-1:50051", [Endpoint("my_host-1", 50051)]),
    ],
)
def test_a_target_is_read(text: str, endpoints: list[Endpoint]) -> None:
    """One server, all servers of a name, several of both; what is named twice counts once."""
    assert parse_target(text).endpoints == tuple(endpoints)


NONSENSE = [
    "",
    ",",
    "a:1,",
    ":50051",
    "infer",
    "infer:",
    "infer:0",
    "infer:65536",
    "infer:+1",
    "infer:०१",
    "infer:50051/path",
    "http://infer:50051",
    "unix:/tmp/socket:1",
    "dns://8.8.8.8/infer:50051",
    "dns:infer:50051",
    "dns:///:50051",
    "dns:///infer",
    "DNS:///infer:1",
    "::1:50051",
    "[::1]",
    "[fe80::1%eth0]:1",
    "[infer]:1",
    "1.2.3:1",
    "256.1.1.1:1",
    "in fer:1",
    "-infer:1",
    "in..fer:1",
    f"{'a' * 64}:1",
    f"{'a.' * 127}aa:1",
    "infer\n:1",
    "user@infer:1",
    "infér:1",
    ",".join(f"h{number}:1" for number in range(MOST_ENDPOINTS + 1)),
    "a:1," * 2000,
]


@pytest.mark.parametrize("text", NONSENSE, ids=range(len(NONSENSE)))
def test_nonsense_is_refused(text: str) -> None:
    """FIELD_INVALID, with the field's name; what was sent is shown in part and in ASCII."""
    with pytest.raises(FieldInvalidError) as caught:
        parse_target(text)
    assert caught.value.message.startswith("inference_target: ")
    assert caught.value.metadata["field"] == "inference_target"
    assert caught.value.message.isascii()
    assert len(caught.value.message) < 250


def test_the_part_that_is_wrong_is_named() -> None:
    """Of several."""
    with pytest.raises(FieldInvalidError, match="'b' has no port") as caught:
        parse_target("a:1,b,c:3", field="spec.target")
    assert caught.value.metadata == {"field": "spec.target", "value": "'b'"}


@given(st.text(alphabet="abz09.-_:[]/,@% dns", max_size=60))
def test_any_text_is_a_target_or_refused(text: str) -> None:
    """Whatever is sent; and what is read is written as what is read again."""
    try:
        target = parse_target(text)
    except FieldInvalidError:
        return
    assert isinstance(target, Target)
    assert target.endpoints
    assert parse_target(str(target)) == target
