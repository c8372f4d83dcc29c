"""Where the inference servers are, as a caller writes it. Pure.

`host:port` is one server. `dns:///name:port` is every server that the name stands for at the moment, as a headless Kubernetes service
does for its pods. Several are separated by commas.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from shared.errors import FieldInvalidError

MOST_ENDPOINTS: Final = 64
_MOST_CHARACTERS: Final = 4096
_MOST_NAME_CHARACTERS: Final = 253
_SHOWN_CHARACTERS: Final = 80
_DNS: Final = "dns:///"
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_FORM: Final = "host:port, [IPv6]:port or dns:///name:port, several separated by commas"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server, or all of a name."""

    host: str  # a name or an address, IPv6 without brackets
    port: int
    is_every_address: bool = False  # of the name

    @property
    def address(self) -> str:
        """What a channel is opened to."""
        return join(self.host, self.port)

    def __str__(self) -> str:
        return f"{_DNS}{self.address}" if self.is_every_address else self.address


@dataclass(frozen=True, slots=True)
class Target:
    """At least one endpoint, none twice."""

    endpoints: tuple[Endpoint, ...]

    def __str__(self) -> str:
        return ",".join(map(str, self.endpoints))


def join(host: str, port: int) -> str:
    """Write an address as gRPC reads it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_target(text: str, *, field: str = "inference_target") -> Target:
    """Read a target. Raises FieldInvalidError, which names `field` and the part that is wrong."""
    if len(text) > _MOST_CHARACTERS:
        raise _invalid(field, text, f"has {len(text)} characters, the limit is {_MOST_CHARACTERS}")
    endpoints = tuple(dict.fromkeys(_endpoint(part.strip(" "), field) for part in text.split(",")))
    if len(endpoints) > MOST_ENDPOINTS:
        raise _invalid(field, text, f"names {len(endpoints)} servers, the limit is {MOST_ENDPOINTS}")
    return Target(endpoints)


def _endpoint(part: str, field: str) -> Endpoint:
    is_every_address = part.startswith(_DNS)
    host, separator, port = part.removeprefix(_DNS).rpartition(":")
    if not separator or not _PORT.fullmatch(port) or int(port) > 65535:
        raise _invalid(field, part, f"has no port from 1 to 65535: write {_FORM}")
    if host.startswith("[") and host.endswith("]") and _is_ipv6(host[1:-1]):
        host = str(IPv6Address(host[1:-1]))
    elif not _is_host(host):
        raise _invalid(field, part, f"names no host: write {_FORM}")
    return Endpoint(host.lower(), int(port), is_every_address)


def _is_host(host: str) -> bool:
    labels = host.removesuffix(".").split(".")
    if len(host) > _MOST_NAME_CHARACTERS or not all(_LABEL.fullmatch(label) for label in labels):
        return False
    return not labels[-1].isdecimal() or _is_ipv4(host)


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    try:
        address = IPv6Address(text)
    except AddressValueError:
        return False
    return address.scope_id is None


def _invalid(field: str, part: str, why: str) -> FieldInvalidError:
    shown = ascii(part[:_SHOWN_CHARACTERS])
    return FieldInvalidError(f"{field}: {shown} {why}.", field=field, value=shown)
