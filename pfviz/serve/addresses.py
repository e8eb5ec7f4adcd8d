"""Who may reach a served pfviz: addresses to listen on, and names by which a browser may ask.

A page elsewhere can send a browser to any address, also to this machine's own: what tells such a
visit is the name that the browser asked for, and the page that sent it.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

BACKLOG: Final = 128
HTTP_PORTS: Final = {"http": 80, "https": 443}


class AddressError(Exception):
    """An address that cannot be listened on, in one line."""


def resolved(host: str) -> tuple[str, ...]:
    """Every address of a host; AddressError when it has none."""
    try:
        found = socket.getaddrinfo(
            host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )  # fmt: skip
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a name of a machine"
        raise AddressError(f"has no address: {reason}") from None
    return tuple(dict.fromkeys(str(one[4][0]) for one in found))


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address."""
    ip = _ip(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip is not None and ip.is_loopback


def listen(addresses: tuple[str, ...], port: int) -> list[socket.socket]:
    """Sockets on all of the addresses and on one port, a free one for 0; AddressError if not."""
    opened: list[socket.socket] = []
    try:
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            one = socket.socket(family, socket.SOCK_STREAM)
            opened.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address, port))
            one.listen(BACKLOG)  # From now on a browser that is early waits.
            port = one.getsockname()[1]
    except OSError as error:
        for one in opened:
            one.close()
        raise AddressError(f"cannot be listened on: {error.strerror or error}") from None
    return opened


@dataclass(frozen=True, slots=True)
class Names:
    """The names under which a browser may ask, each with its port."""

    known: frozenset[tuple[str, int]]
    port: int
    exposed: bool = False

    @classmethod
    def of(cls, host: str, port: int, public_url: str = "", exposed: bool = False) -> Names:
        """Those of this machine, of `host` and of a public address that leads here."""
        names = ["localhost", "127.0.0.1", "::1", host]
        if exposed:
            names += [socket.gethostname(), socket.getfqdn()]
        known = {(name.casefold().strip("[]"), port) for name in names}
        public = host_and_port(public_url) if public_url else None
        return cls(frozenset(known | ({public} if public else set())), port, exposed)

    def knows_host(self, header: str) -> bool:
        """Whether a `Host` header is ours: a name that a stranger lets point here is not."""
        return self._knows(host_and_port(f"//{header}", self.port if ":" in header else 80), header)

    def knows_origin(self, header: str) -> bool:
        """Whether an `Origin` header is that of our own page."""
        return self._knows(host_and_port(header), urlsplit(header).netloc)

    def _knows(self, place: tuple[str, int] | None, text: str) -> bool:
        if place is None or "@" in text:
            return False
        # Nobody can make a bare address point elsewhere; behind a port of ours, it is us.
        is_address = self.exposed and _ip(place[0]) is not None and place[1] == self.port
        return place in self.known or is_address


def host_and_port(url: str, port: int = 0) -> tuple[str, int] | None:
    """Host and port of an address; None when it is none."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        found = parts.port or port or HTTP_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    return (host, found) if host and found else None


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
