"""Which hosts of this machine and its network a crawl may ask: a catalogue's links lead anywhere."""

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# public   Anybody may ask it.
# private  An address of this machine or its network, or one that belongs to nobody. It is asked where it is listed.
# never    Link-local, or a cloud's metadata service, which gives credentials away. It is asked in no case.
Kind = Literal["public", "private", "never"]

NEVER = [
    ipaddress.ip_network(network)
    for network in (
        *("169.254.0.0/16", "fe80::/10"),
        # Metadata services at other addresses: Alibaba Cloud, Azure, Oracle Cloud, EC2 and Google by IPv6.
        *("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::/32", "fd20:ce::/32"),
    )
]
# Names of metadata services. Behind a proxy they are not resolved here.
NEVER_NAMES = {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
NAT64, COMPATIBLE = ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96")
NAME = re.compile(r"(?!-)[\w-]+(\.[\w-]+)*")
# Stands in every reason with which a private host is refused; scraper/downloads.py looks for it.
MARK = "a private address"


def address_of(host: str) -> Address | None:
    """The address that a host is written as, also `127.1` or `0x7f000001`; None for a name.

    The IPv4 address that an IPv6 address stands for is given in its place.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if not re.fullmatch(r"\d[\da-fx.]*", host):
            return None
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except OSError:
            return None
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64 or (address in COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def kind_of(host: str) -> Kind:
    """What a host is, as far as its address or its name tells. Other names are public until they are resolved."""
    host = host.rstrip(".").lower()
    address = address_of(host)
    if address is None:
        is_here = host == "localhost" or host.endswith(".localhost")
        return "never" if host in NEVER_NAMES else "private" if is_here else "public"
    if any(address in network for network in NEVER if network.version == address.version):
        return "never"
    return "public" if address.is_global and not address.is_multicast else "private"


def is_loopback(host: str) -> bool:
    """Whether a host's address or its name is this machine's own."""
    address = address_of(host)
    return address.is_loopback if address else kind_of(host) == "private"


def refusal(kind: Kind, host: str, port: int) -> str:
    """Why a host is not asked, and what would change that; a few words for the manifest."""
    if kind == "never":
        return f"{host} is {MARK} that is never asked: link-local, or a cloud's metadata service"
    entry = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    verb = "has" if address_of(host) is None else "is"
    return f"{entry} {verb} {MARK}; if it is yours, add '{entry}' to scrape.private_hosts"


@dataclass(frozen=True)
class PrivateHosts:
    """The private hosts that may be asked.

    entries: hosts with the port, None for any port.
    """

    entries: frozenset[tuple[str, int | None]]

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "PrivateHosts":
        """Read `host[:port]`, IPv6 addresses in brackets.

        Raises:
            ValueError: a text is something else, or names an address that is never asked.
        """
        return cls(frozenset(_parse(text) for text in texts))

    def allow(self, host: str, port: int) -> bool:
        """Whether this host may be asked at this port although its address is private."""
        return not self.entries.isdisjoint({(_canonical(host), port), (_canonical(host), None)})

    def list_host(self, host: str) -> bool:
        """Whether this host is listed, with whatever port."""
        return any(name == _canonical(host) for name, _ in self.entries)


def _canonical(host: str) -> str:
    return str(address_of(host) or host.rstrip(".").lower())


def _parse(text: str) -> tuple[str, int | None]:
    try:
        url = urlsplit(f"//{text}")
        host, port = url.hostname or "", url.port
    except ValueError:
        host, port = "", None
    if _holds_more(text, host, port) or not (":" in host or NAME.fullmatch(host)):
        raise ValueError(
            f"{text!r} is not host or host:port; right are localhost:8000, 10.0.0.5 and [::1]:8000, without http://"
        )
    if kind_of(host) == "never":
        raise ValueError(f"{text!r} is link-local or a cloud's metadata service, which is never asked")
    return _canonical(host), port


def _holds_more(text: str, host: str, port: int | None) -> bool:
    written = f"[{host}]" if ":" in host else host
    return text.lower() not in (written, f"{written}:{port}") or port == 0
