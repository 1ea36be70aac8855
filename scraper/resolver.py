"""Refuses addresses of this machine and its network: a catalogue's links come from anywhere."""

from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

from scrapy.crawler import CrawlerProcess
from scrapy.resolver import CachingThreadedResolver
from scrapy.utils.defer import maybe_deferred_to_future
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import DNSLookupError

from scraper.hosts import Hosts
from scraper.private_hosts import PrivateHosts, kind_of

# Setting: the private hosts that may be asked, as `PrivateHosts.parse` reads them.
PRIVATE_HOSTS = "POSTERGENRE_PRIVATE_HOSTS"


def proxy_hosts() -> set[str | None]:
    """The names of the proxies that the environment names."""
    return {urlsplit(url if "://" in url else f"//{url}").hostname for url in getproxies().values()}


async def resolve(name: str) -> str:
    """The address of a name, by the resolver of the running crawl.

    Raises:
        OSError: the name is unknown, or its address is refused.
    """
    from twisted.internet import reactor  # the import installs a reactor, which Scrapy has done by now

    address: str = await maybe_deferred_to_future(cast(Any, reactor).resolve(name))
    return address


class PosterCrawlerProcess(CrawlerProcess):
    """Scrapy's process, with the crawl's hosts: Scrapy makes the resolver from the process, not from a crawler."""

    def __init__(self, settings: dict[str, Any], hosts: Hosts):
        super().__init__(settings)
        self.hosts = hosts


class PublicResolver(CachingThreadedResolver):
    """Scrapy's resolver, which hands out no private address. Scrapy connects to what it hands out.

    A name that has a private address is marked in the crawl's hosts, because Twisted drops the error's message.
    """

    allowed: PrivateHosts
    hosts: Hosts
    proxies: set[str | None]

    @classmethod
    def from_crawler(cls, crawler: Any, reactor: Any) -> Any:
        """Make it from the `PosterCrawlerProcess`, which Scrapy passes as `crawler`."""
        resolver = super().from_crawler(crawler, reactor)
        resolver.allowed, resolver.hosts = PrivateHosts.parse(crawler.settings[PRIVATE_HOSTS]), crawler.hosts
        # Behind a proxy only the proxy's name is resolved here, and its address may be private.
        resolver.proxies = proxy_hosts()
        return resolver

    def getHostByName(self, name: str, timeout: Sequence[int] = ()) -> "Deferred[str]":  # noqa: N802, as in Twisted
        if isIPAddress(name) or isIPv6Address(name):
            return succeed(name)  # PublicOnly checks the addresses in URLs, for it knows the port too
        address = super().getHostByName(name, timeout)
        return address if name in self.proxies else address.addCallback(self._check, name)

    def _check(self, address: str, name: str) -> str:
        kind = kind_of(address)
        # PublicOnly has checked the port of a listed name.
        if kind == "public" or (kind == "private" and self.allowed.list_host(name)):
            return address
        self.hosts[name].address_kind = kind
        raise DNSLookupError(f"{name} has a private address")
