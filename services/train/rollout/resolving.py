"""Which addresses a target stands for now. Asked anew at each look, so that servers that come and go count.

Concurrency: event loop only; names are looked up in the loop's own threads, each by one question at a time. The system's resolver gives
up by itself, within half a minute as a rule: whoever gave up before would leave a thread behind at every look.
"""

import asyncio
import socket
from dataclasses import dataclass

from services.train.rollout.target import Endpoint, Target, join


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a target stands for."""

    addresses: tuple[str, ...]  # none twice, in the order of the target
    unresolved: tuple[str, ...] = ()  # endpoints without an address now


async def resolve(target: Target) -> Resolved:
    """Look up every name of a target that stands for many servers; the others are addresses as they are written."""
    found = await asyncio.gather(*(_addresses(endpoint) for endpoint in target.endpoints))
    addresses = dict.fromkeys(address for some in found for address in some)
    unresolved = [str(end) for end, some in zip(target.endpoints, found, strict=True) if not some]
    return Resolved(tuple(addresses), tuple(unresolved))


async def _addresses(endpoint: Endpoint) -> list[str]:
    if not endpoint.is_every_address:
        return [endpoint.address]
    loop = asyncio.get_running_loop()
    try:
        records = await loop.getaddrinfo(
            endpoint.host,
            endpoint.port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_ADDRCONFIG,  # no IPv6 where this machine has none: such an address would never be live
        )
    except (OSError, UnicodeError):  # no such name, none of its servers is there, or no answer
        return []
    return sorted({join(str(address[0]), endpoint.port) for *_, address in records})
