"""Refuses addresses of this machine and its network: a catalogue's links come from anywhere."""

import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from scrapy.crawler import CrawlerProcess
from scrapy.resolver import CachingThreadedResolver
from scrapy.settings import BaseSettings
from twisted.internet.abstract import isIPAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import DNSLookupError

from scraper.hosts import Hosts

# Settings: whether private addresses are allowed, and `host:port` of a site of our own, which is always allowed.
ALLOWED, OWN = "POSTERGENRE_ALLOW_PRIVATE_HOSTS", "POSTERGENRE_OWN_SITE"


class PrivateAddressError(Exception):
    """An address that no public host has."""


def check_address(host: str, settings: BaseSettings) -> None:
    """Refuse an address of this machine or its network, or one that belongs to nobody. Names pass.

    Raises:
        PrivateAddressError: the settings do not allow it.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_global and not address.is_multicast:
        return
    if not settings.getbool(ALLOWED):
        raise PrivateAddressError


class PosterCrawlerProcess(CrawlerProcess):
    """Scrapy's process, with the crawl's hosts: Scrapy makes the resolver from the process, not from a crawler."""

    def __init__(self, settings: dict[str, Any], hosts: Hosts):
        super().__init__(settings)
        self.hosts = hosts


class PublicResolver(CachingThreadedResolver):
    """Scrapy's resolver, which hands out no private address. Scrapy connects to what it hands out.

    A name that has a private address is marked in the crawl's hosts, because Twisted drops the error's message.
    """

    settings: BaseSettings
    hosts: Hosts
    proxies: set[str | None]

    @classmethod
    def from_crawler(cls, crawler: Any, reactor: Any) -> Any:
        """Make it from the `PosterCrawlerProcess`, which Scrapy passes as `crawler`."""
        resolver = super().from_crawler(crawler, reactor)
        resolver.settings, resolver.hosts = crawler.settings, crawler.hosts
        # Behind a proxy only the proxy's name is resolved here, and its address may be private.
        resolver.proxies = {urlsplit(url).hostname for url in getproxies().values()}
        return resolver

    def getHostByName(self, name: str, timeout: Sequence[int] = ()) -> "Deferred[str]":  # noqa: N802, as in Twisted
        address = super().getHostByName(name, timeout)
        # PublicOnly checks the addresses in URLs, for it knows the port too.
        return address if name in self.proxies or isIPAddress(name) else address.addCallback(self._public, name)

    def _public(self, address: str, name: str) -> str:
        try:
            check_address(address, self.settings)
        except PrivateAddressError:
            self.hosts[name].private = True
            raise DNSLookupError(f"{name} has a private address") from None
        return address
