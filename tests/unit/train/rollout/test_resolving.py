"""Which addresses a target stands for."""

import socket

import pytest

from services.train.rollout.resolving import Resolved, resolve
from services.train.rollout.target import parse_target


async def test_a_name_stands_for_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of both families, each once, and asked anew each time."""
    pods = ["10.0.0.2", "10.0.0.1", "fd00::1", "10.0.0.1"]

    def records(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        if not pods:
            raise socket.gaierror(socket.EAI_NONAME, "none")
        assert (host, port) == ("infer.example", 50051)
        return [(0, 0, 0, "", (pod, port) if "." in pod else (pod, port, 0, 0)) for pod in pods]

    monkeypatch.setattr(socket, "getaddrinfo", records)
    target = parse_target("one:1,dns:///infer.example:50051")
    assert await resolve(target) == Resolved(("one:1", "10.0.0.1:50051", "10.0.0.2:50051", "[fd00::1]:50051"))
    pods.remove("10.0.0.2")
    assert await resolve(target) == Resolved(("one:1", "10.0.0.1:50051", "[fd00::1]:50051"))
    pods.clear()
    assert await resolve(target) == Resolved(("one:1",), ("dns:///infer.example:50051",))


async def test_the_systems_resolver_is_asked() -> None:
    """This machine's own name for itself, and a name that nobody has."""
    resolved = await resolve(parse_target("dns:///localhost:7,dns:///no-such-host.invalid:7"))
    assert {"127.0.0.1:7", "[::1]:7"} & set(resolved.addresses)
    assert resolved.unresolved == ("dns:///no-such-host.invalid:7",)


async def test_an_address_is_its_own() -> None:
    """Nothing is looked up, and it counts once."""
    target = parse_target("[::1]:7,127.0.0.1:7,dns:///127.0.0.1:7")
    assert await resolve(target) == Resolved(("[::1]:7", "127.0.0.1:7"))
