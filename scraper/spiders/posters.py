"""The `posters` spider: asks for each wanted film's poster, source after source, until one gives it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

from scrapy import Request, Spider
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response, TextResponse
from scrapy.spidermiddlewares.httperror import HttpError
from twisted.python.failure import Failure

from postergenre.data import images
from scraper.downloads import Downloads, Miss, Poster, sha256
from scraper.hosts import Hosts
from scraper.items import PosterItem, Task
from scraper.middlewares import Refused, reason_of
from scraper.pages import poster_link
from scraper.progress import Progress
from scraper.starter import GONE, Starter
from scraper.tmdb import Tmdb
from scraper.wanted import Wanted

# What a callback brings: where to ask next, or a poster.
Found = Iterator[Request | PosterItem]

STATUS_OF = {404: "gone", 410: "gone", 401: "refused", 403: "refused", 429: "refused"}
# Films under way at once, of one host: those that wait for a busy host must not take the place of another's.
UNDER_WAY = 32


class PostersSpider(Spider):
    """Fills `downloads` with posters, and with the reasons why others did not come.

    wanted: each film's sources, best first, without those that are known not to have its poster. refresh: the posters
    of some may be held; their hosts are asked whether they changed.
    """

    name = "posters"

    def __init__(
        self,
        wanted: Wanted,
        downloads: Downloads,
        hosts: Hosts,
        tmdb: Tmdb,
        progress: Progress,
        refresh: bool,
        starter: Starter,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.wanted, self.downloads, self.hosts = wanted, downloads, hosts
        self.tmdb, self.progress, self.refresh, self.starter = tmdb, progress, refresh, starter
        self.stopped = ""
        self._under_way: dict[str, int] = {}
        self._room = asyncio.Event()

    async def start(self) -> AsyncIterator[Any]:
        """The films in turns of their hosts, as many of each at once as `UNDER_WAY`: Scrapy would take all at once."""
        self._watching = asyncio.ensure_future(self._watch())
        queues = self.wanted.hosts()
        while queues:
            free = [host for host in queues if self._under_way.get(host, 0) < UNDER_WAY]
            if not free:
                self._room.clear()
                await self._room.wait()
            for host in free:
                if not (sources := next(queues[host], None)):
                    del queues[host]
                    continue
                self._under_way[host] = self._under_way.get(host, 0) + 1
                for request in self.ask(Task(sources[0], sources[1:], host)):
                    yield request

    def ask(self, task: Task) -> Found:
        """Ask the task's source; its answer, or the lack of one, leads on to the others."""
        parse = {"poster": self.parse_poster, "page": self.parse_page, "tmdb": self.parse_tmdb}[task.source.kind]
        headers, meta = self.tmdb.asking() if task.source.kind == "tmdb" else ({}, {})
        yield from self._request(task.source.url, parse, task, headers, meta)

    def parse_page(self, response: Response, task: Task) -> Found:
        """A film's page: goes on to the picture that it shows."""
        try:
            link = poster_link(response) if isinstance(response, TextResponse) else ""
        except ValueError:
            link = "http://["  # no URL either, and `_request` says so
        if link:
            yield from self._request(link, self.parse_poster, task)
        else:
            miss = Miss("not-a-poster", response.url, "the page shows no poster", response.status)
            yield from self.settle(task, miss)

    def parse_tmdb(self, response: Response, task: Task) -> Found:
        """TMDB's answer to an IMDb id: goes on to the poster that it names."""
        try:
            link = self.tmdb.poster_link(response.body)
        except ValueError as error:
            yield from self.settle(task, Miss("failed", response.url, str(error), response.status))
            return
        if link:
            yield from self._request(link, self.parse_poster, task)
        else:
            yield from self.settle(task, Miss("gone", response.url, "TMDB has no poster", response.status))

    def parse_poster(self, response: Response, task: Task) -> Found:
        """A picture: kept as served, if it is one."""
        if response.status == 304:
            self._settled(task, "ok")
            return
        try:
            extension, width, height = images.identify(response.body)
        except images.ImageError as error:
            yield from self.settle(task, Miss("not-a-poster", response.url, str(error), response.status))
            return
        etag, modified = (_header(response, name) for name in ("ETag", "Last-Modified"))
        digest = sha256(response.body)
        yield PosterItem(
            task.source.url,
            Poster(
                response.url,
                response.status,
                task.attempts,
                extension,
                width,
                height,
                etag,
                modified,
                digest,
                response.body,
            ),
        )
        self._settled(task, "ok")

    def failed(self, failure: Failure) -> Found:
        """A request that got no usable answer."""
        request: Request = failure.request  # type: ignore[attr-defined]
        yield from self.settle(request.cb_kwargs["task"], miss_of(failure, request.url))

    def settle(self, task: Task, miss: Miss) -> Found:
        """Remember why the source gave nothing, and ask the next one, if there is one."""
        try:
            self.downloads.miss(task.source.url, replace(miss, attempts=task.attempts))
        except sqlite3.Error as error:
            self.stop(f"the reasons for misses can not be kept ({error})")
        if task.others:
            task.source, *task.others = task.others
            task.attempts = 0
            yield from self.ask(task)
        else:
            self._settled(task, miss.status)

    def stop(self, reason: str) -> None:
        """End the crawl; `reason` says why to the person who started it."""
        self.stopped = self.stopped or reason
        # Not awaited: closing waits for the item whose pipeline asked for it.
        self._closing = asyncio.ensure_future(self.crawler.engine.close_spider_async(reason="stopped"))

    def _request(
        self,
        url: str,
        parse: Any,
        task: Task,
        headers: dict[str, str] | None = None,
        meta: dict[str, Any] | None = None,
    ) -> Found:
        headers, meta = dict(headers or {}), dict(meta or {})
        if self.refresh and parse == self.parse_poster and task.source.url in self.downloads:
            etag, modified = self.downloads.validators(task.source.url)
            headers |= {"If-None-Match": etag} if etag else {"If-Modified-Since": modified} if modified else {}
            meta["handle_httpstatus_list"] = [304]
        try:
            # Several films may name one poster, and each needs its answer.
            yield Request(
                url, parse, headers=headers, meta=meta, errback=self.failed, cb_kwargs={"task": task}, dont_filter=True
            )
        except ValueError:
            yield from self.settle(task, Miss("failed", url, "the link is no URL"))

    def _settled(self, task: Task, status: str) -> None:
        self.progress.count(status)
        self._under_way[task.host] -= 1
        self._room.set()

    async def _watch(self) -> None:
        while not self.starter.gone():
            await asyncio.sleep(1)
        self.stop(GONE)

    def closed(self, reason: str) -> None:
        self._watching.cancel()
        self.progress.close()


def miss_of(failure: Failure, url: str) -> Miss:
    """What a failed request says of its poster."""
    error = failure.value
    assert error is not None
    if isinstance(error, HttpError):
        status = error.response.status
        return Miss(STATUS_OF.get(status, "failed"), url, f"HTTP {status}", status)
    if isinstance(error, Refused):
        return Miss(error.status, url, error.reason, error.http_status)
    if isinstance(error, IgnoreRequest):
        return Miss("refused" if "robots.txt" in str(error) else "failed", url, reason_of(error))
    return Miss("failed", url, reason_of(error))


def _header(response: Response, name: str) -> str:
    return (response.headers.get(name) or b"").decode("latin-1")
