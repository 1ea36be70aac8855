"""Names that lead to this machine or its network are refused: a catalogue's links come from anywhere."""

import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from scrapy.resolver import CachingThreadedResolver
from scrapy.settings import BaseSettings
from twisted.internet.abstract import isIPAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import DNSLookupError

# Settings: whether private addresses are allowed, and `host:port` of a site of our own, which is in any case.
ALLOWED, OWN = "POSTERGENRE_ALLOW_PRIVATE_HOSTS", "POSTERGENRE_OWN_SITE"
# Those that were refused, for whoever wants to know why a name was not resolved.
private_names: set[str] = set()


class PrivateAddressError(Exception):
    """An address that no public host has."""


def check_address(host: str, settings: BaseSettings) -> None:
    """Refuse an address of this machine, its network or none at all; names pass, they have no address yet.

    Raises:
        PrivateAddressError: the settings do not allow it.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    mapped = getattr(address, "ipv4_mapped", None) or address
    if mapped.is_global and not mapped.is_multicast:
        return
    if not settings.getbool(ALLOWED):
        raise PrivateAddressError


class PublicResolver(CachingThreadedResolver):
    """Scrapy's resolver, which gives no private address away. What it gives is what is connected to."""

    settings: BaseSettings
    proxies: set[str | None]

    @classmethod
    def from_crawler(cls, crawler: Any, reactor: Any) -> Any:
        resolver = super().from_crawler(crawler, reactor)
        resolver.settings = crawler.settings
        # Where a proxy asks for us, its is the only name that is resolved here, and it may well be private.
        resolver.proxies = {urlsplit(url).hostname for url in getproxies().values()}
        return resolver

    def getHostByName(self, name: str, timeout: Sequence[int] = ()) -> "Deferred[str]":  # noqa: N802, as in Twisted
        found = super().getHostByName(name, timeout)
        # An address in a URL is PublicOnly's to judge, which knows the port too.
        return found if name in self.proxies or isIPAddress(name) else found.addCallback(self._public, name)

    def _public(self, address: str, name: str) -> str:
        try:
            check_address(address, self.settings)
        except PrivateAddressError:
            private_names.add(name)
            raise DNSLookupError(f"{name} has a private address") from None
        return address
