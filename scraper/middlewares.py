"""Between the spider and the hosts: which requests may go out, how often, and when to ask again."""

import asyncio
import re
import time
from collections import defaultdict
from typing import Any

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.downloadermiddlewares.httpproxy import HttpProxyMiddleware
from scrapy.downloadermiddlewares.retry import get_retry_request
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.exceptions import (
    CannotResolveHostError,
    DownloadConnectionRefusedError,
    DownloadFailedError,
    DownloadTimeoutError,
    IgnoreRequest,
    ResponseDataLossError,
)
from scrapy.http import Response
from scrapy.robotstxt import RobotParser
from scrapy.utils.httpobj import urlparse_cached

from scraper.downloads import TOO_LARGE
from scraper.hosts import Closed, Host, Hosts, backoff, retry_after
from scraper.private_hosts import PrivateHosts, is_loopback, kind_of, refusal
from scraper.resolver import PRIVATE_HOSTS, proxy_hosts, resolve
from scraper.tasks import Status
from scraper.walls import wall_of

RETRIED = (500, 502, 504, 408, 522, 524)
SILENCE = (CannotResolveHostError, DownloadConnectionRefusedError, DownloadTimeoutError)
BROKEN = (DownloadFailedError, ResponseDataLossError, OSError)
# Words of X-Robots-Tag with which hosts refuse AI use, as img2dataset reads them.
OPT_OUT = {"noai", "noimageai"}


class Refused(IgnoreRequest):
    """A request that is not sent, or an answer that is not used.

    status: what becomes of the poster.
    reason: a few words for the manifest.
    http_status: of the answer, 0 without one.
    """

    def __init__(self, status: Status, reason: str, http_status: int = 0):
        super().__init__(reason)
        self.status, self.reason, self.http_status = status, reason, http_status


class _WithCrawler:
    def __init__(self, crawler: Crawler):
        self.crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Any:
        return cls(crawler)


class PublicOnly(_WithCrawler):
    """Lets requests through to http and https, and to private hosts only where they are listed.

    It checks the hosts in URLs, with their ports. `PublicResolver` checks the addresses of names.
    """

    def __init__(self, crawler: Crawler):
        super().__init__(crawler)
        self._allowed = PrivateHosts.parse(crawler.settings[PRIVATE_HOSTS])
        self._proxies = proxy_hosts()

    def process_request(self, request: Request) -> None:
        url = urlparse_cached(request)
        if url.scheme not in ("http", "https"):
            raise Refused("failed", "neither http nor https")
        if "@" in url.netloc:
            raise Refused("failed", "the link holds a user name or password")
        host, port = _host_and_port(request)
        kind = kind_of(host)
        if kind == "never":
            raise Refused("refused", refusal(kind, host, port))
        # A listed name has a private address. So may a proxy's, which `PublicResolver` lets through.
        private = kind == "private" or host in self._proxies or self._allowed.list_host(host)
        if private and not self._allowed.allow(host, port):
            raise Refused("refused", refusal("private", host, port))


class Proxy(HttpProxyMiddleware):
    """Goes through the proxies that the environment names. This machine is asked directly.

    So are listed private hosts whose names have an address of this machine.
    """

    crawler: Crawler
    allowed: PrivateHosts

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Any:
        middleware = super().from_crawler(crawler)
        middleware.crawler, middleware.allowed = crawler, PrivateHosts.parse(crawler.settings[PRIVATE_HOSTS])
        return middleware

    async def process_request(self, request: Request) -> None:  # type: ignore[override]
        # A redirect copies them from a request to another host.
        for name in ("proxy", "_scheme_proxy", "_auth_proxy"):
            request.meta.pop(name, None)
        request.headers.pop("Proxy-Authorization", None)
        if not (self.proxies and await self._is_here(_host_and_port(request)[0])):
            super().process_request(request)
        _host(self.crawler, request).proxy = request.meta.get("proxy") or ""

    async def _is_here(self, host: str) -> bool:
        if is_loopback(host):
            return True
        if not self.allowed.list_host(host):
            return False
        try:
            return is_loopback(await resolve(host))
        except OSError:  # only the proxy knows the name
            return False


class ObeyRobotsTxt(RobotsTxtMiddleware):
    """Obeys robots.txt and its Crawl-delay; does not ask a host whose robots.txt fails (RFC 9309, section 2.3.1.4).

    It holds each request back until its host's robots.txt is read. In Scrapy 2.19 only the first two requests that
    wait for a robots.txt get its rules, and the others go out as if there were none: they await one Deferred, which
    hands its result to the first of them.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._failures: dict[str, tuple[Status, str]] = {}

    async def robot_parser(self, request: Request) -> RobotParser | None:
        url = urlparse_cached(request)
        async with self._locks[url.netloc]:
            parser = await super().robot_parser(request)
        if url.netloc in self._failures:
            raise Refused(*self._failures[url.netloc])
        return parser

    async def _parse_robots(self, response: Response, netloc: str, request: Request) -> None:
        if response.status >= 500 or response.status == 429:
            wall = wall_of(response)
            reason = f"robots.txt: {wall or f'HTTP {response.status}'}"
            self._failures[netloc] = ("refused" if wall else "failed", reason)
            if wall:
                _host(self.crawler, request).closed = Closed("refused", reason, True)
        await super()._parse_robots(response, netloc, request)
        if response.status == 200 and (delay := self._crawl_delay(self._parsers[netloc])):
            host = _host(self.crawler, request)
            host.delay = max(host.delay, delay)
            _set_delay(self.crawler, request)

    def _robots_error(self, exc: Exception, netloc: str) -> None:
        self._failures[netloc] = exc.status if isinstance(exc, Refused) else "failed", f"robots.txt: {reason_of(exc)}"
        super()._robots_error(exc, netloc)

    def _crawl_delay(self, parser: Any) -> float:
        return float(parser.rp.crawl_delay(self._default_useragent) or 0)


class Politeness(_WithCrawler):
    """Waits where a host is busy, tries again what may work later, and stops asking a host that turns us away."""

    async def process_request(self, request: Request) -> None:
        host = _host(self.crawler, request)
        while (pause := host.resume - time.monotonic()) > 0 and not host.closed:
            await asyncio.sleep(pause)
        if host.closed:
            raise Refused(host.closed.status, host.closed.reason)
        if task := request.cb_kwargs.get("task"):
            task.attempts += 1

    async def process_response(self, request: Request, response: Response) -> Request | Response:
        host, wait = _host(self.crawler, request), retry_after(response.headers)
        retry = None
        if wall := wall_of(response):
            self._note_wall(request, response, wall)
        elif response.status == 429 or (response.status == 503 and wait is not None):
            host.throttle(response.status, wait)
            retry = None if host.closed else self._retry(request, "busy", limit=20)
        elif response.status in (401, 403):
            host.note_refusal(response.status)
        elif response.status in (503, *RETRIED):
            retry = await self._retry_later(request, f"HTTP {response.status}")
        else:
            host.note_answer()
        _set_delay(self.crawler, request)
        return retry or response

    def _note_wall(self, request: Request, response: Response, wall: str) -> None:
        """Count a challenge. One in the place of a robots.txt is for `ObeyRobotsTxt`: pages may come all the same."""
        if "task" in request.cb_kwargs:
            _host(self.crawler, request).note_wall(wall)
            raise Refused("refused", wall, response.status)

    async def process_exception(self, request: Request, exception: Exception) -> Request | None:
        host = _host(self.crawler, request)
        if host.address_kind != "public":
            raise Refused("refused", refusal(host.address_kind, *_host_and_port(request))) from None
        if isinstance(exception, SILENCE):
            host.note_silence(reason_of(exception))
        if isinstance(exception, SILENCE + BROKEN):
            return await self._retry_later(request, type(exception).__name__)
        return None

    async def _retry_later(self, request: Request, reason: str) -> Request | None:
        """The request once more, after a wait that grows with each try; None when it has been tried often enough."""
        retry = self._retry(request, reason, self.crawler.settings.getint("RETRY_TIMES"))
        if retry:
            await asyncio.sleep(backoff(retry.meta["retry_times"]))
        return retry

    def _retry(self, request: Request, reason: str, limit: int) -> Request | None:
        assert self.crawler.spider is not None
        return get_retry_request(request, spider=self.crawler.spider, reason=reason, max_retry_times=limit)


class OptOut:
    """Obeys X-Robots-Tag: noai and noimageai, addressed to everybody or to us by name."""

    def process_response(self, request: Request, response: Response) -> Response:
        for header in response.headers.getlist("X-Robots-Tag"):
            words = re.findall(r"[\w-]+:?", header.decode("latin-1").lower())
            names = [word for word in words if word.endswith(":")]
            if OPT_OUT.intersection(words) and (not names or "postergenre:" in names):
                raise Refused("refused", "the host opts out of AI use (X-Robots-Tag)", response.status)
        return response


REASONS = {
    "DownloadConnectionRefusedError": "connection refused",
    "CannotResolveHostError": "host name unknown",
    "DownloadTimeoutError": "no complete answer in time",
    "DownloadFailedError": "connection broken off",
    "ResponseDataLossError": "answer incomplete",
    "DownloadCancelledError": TOO_LARGE,
}


def reason_of(error: BaseException) -> str:
    """An error in few words. Scrapy's messages repeat the URL, which would make each reason unique."""
    for words, reason in {"certificate verify failed": "certificate not valid", "DOWNLOAD_MAXSIZE": TOO_LARGE}.items():
        if words in str(error):
            return reason
    if isinstance(error, IgnoreRequest):
        return str(error)
    return REASONS.get(type(error).__name__, f"{type(error).__name__}: {error}"[:200])


def _host_and_port(request: Request) -> tuple[str, int]:
    """Raises: Refused: the link's port is none."""
    url = urlparse_cached(request)
    try:
        return url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    except ValueError:
        raise Refused("failed", "the link is no URL") from None


def _host(crawler: Crawler, request: Request) -> Host:
    hosts: Hosts = crawler.spider.hosts  # type: ignore[union-attr]
    return hosts[urlparse_cached(request).hostname or ""]


def _set_delay(crawler: Crawler, request: Request) -> None:
    """Set the time between the host's requests, which Scrapy keeps in a slot and forgets after an idle minute."""
    assert crawler.engine is not None
    downloader, host = crawler.engine.downloader, _host(crawler, request)
    if slot := downloader.slots.get(downloader.get_slot_key(request)):
        slot.delay = max(host.delay, host.slowed)
