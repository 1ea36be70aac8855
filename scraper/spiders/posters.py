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
from scraper.downloads import PROXY, Downloads, Miss, Poster, sha256
from scraper.hosts import Hosts
from scraper.middlewares import Refused, reason_of
from scraper.pages import is_still, poster_links
from scraper.parent_process import GONE, ParentProcess
from scraper.progress import Progress
from scraper.sizes import Sizes
from scraper.tasks import Status, Task
from scraper.tmdb import Tmdb
from scraper.wanted import WantedFilms, host_of

STATUS_OF: dict[int, Status] = {404: "gone", 410: "gone", 401: "refused", 403: "refused", 429: "refused"}
# Films of one host that are under way at once. Films that wait for a busy host must not take the place of others.
UNDER_WAY = 32
# Seconds between two looks at whether the parent process has ended.
WATCH = 1.0


class PostersSpider(Spider):
    """Stores posters in the downloads, and for the others the reason why they did not come.

    It stores them itself, not by an item pipeline: a poster and a miss are two outcomes of one request, and a full
    disk must end the crawl in either case.

    wanted: the films to ask for, without the sources that are known not to have their posters.
    downloads: where posters and misses are stored.
    hosts: how each host is treated.
    tmdb: how to ask TMDB.
    sizes: how wide posters should be.
    progress: counts the films that are done.
    refresh: whether to ask for stored posters too, if they have changed.
    parent: the process for which the crawl runs; the crawl stops when that one has ended.
    stopped: why the crawl was stopped, "" where it was not.
    """

    name = "posters"

    def __init__(
        self,
        wanted: WantedFilms,
        downloads: Downloads,
        hosts: Hosts,
        tmdb: Tmdb,
        sizes: Sizes,
        progress: Progress,
        refresh: bool,
        parent: ParentProcess,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.wanted, self.downloads, self.hosts = wanted, downloads, hosts
        self.tmdb, self.sizes, self.progress, self.refresh, self.parent = tmdb, sizes, progress, refresh, parent
        self.stopped = ""
        self._under_way: dict[str, int] = {}
        self._film_done = asyncio.Event()

    async def start(self) -> AsyncIterator[Any]:
        """Start the films, the hosts in turns, at most `UNDER_WAY` films of each host at once.

        Scrapy would start all films at once.
        """
        self._watching = asyncio.ensure_future(self._watch_parent())
        queues = self.wanted.by_host()
        while queues:
            free = [host for host in queues if self._under_way.get(host, 0) < UNDER_WAY]
            if not free:
                self._film_done.clear()
                await self._film_done.wait()
            for host in free:
                sources = next(queues[host], None)
                if sources is None:
                    del queues[host]
                    continue
                self._under_way[host] = self._under_way.get(host, 0) + 1
                for request in self.ask(Task(sources[0], sources[1:], host)):
                    yield request

    def ask(self, task: Task) -> Iterator[Request]:
        """Ask the task's source. Its answer, or the lack of one, leads on to the task's other sources."""
        parse = {"poster": self.parse_poster, "page": self.parse_page, "tmdb": self.parse_tmdb}[task.source.kind]
        headers, meta = self.tmdb.request_options() if task.source.kind == "tmdb" else ({}, {})
        task.links = [task.source.fallback] if task.source.fallback else []
        yield from self._request(task.source.url.partition("#")[0], parse, task, headers, meta)

    def parse_page(self, response: Response, task: Task) -> Iterator[Request]:
        """Go on from a film's page to the pictures that it names, until one is a poster."""
        task.pictures = poster_links(response) if isinstance(response, TextResponse) else []
        if task.pictures:
            yield from self._ask_picture(task)
        else:
            miss = Miss("not-a-poster", response.url, "the page shows no poster", response.status)
            yield from self.settle_miss(task, miss)

    def _ask_picture(self, task: Task) -> Iterator[Request]:
        """Ask for the next picture of a film's page."""
        picture, *task.pictures = task.pictures
        link, *task.links = self.sizes.links(picture)
        yield from self._request(link, self.parse_poster, task)

    def parse_tmdb(self, response: Response, task: Task) -> Iterator[Request]:
        """Go on from TMDB's answer to the poster that it names."""
        try:
            link = self.tmdb.poster_link(response.body)
        except ValueError as error:
            yield from self.settle_miss(task, Miss("failed", response.url, str(error), response.status))
            return
        if link:
            yield from self._request(link, self.parse_poster, task)
        else:
            yield from self.settle_miss(task, Miss("gone", response.url, "TMDB has no poster", response.status))

    def parse_poster(self, response: Response, task: Task) -> Iterator[Request]:
        """Store the answer as served, if it is a picture."""
        if response.status == 304:
            self._finish(task, "ok")
            return
        try:
            extension, width, height = images.identify(response.body)
        except images.ImageError as error:
            yield from self.settle_miss(task, Miss("not-a-poster", response.url, str(error), response.status))
            return
        if task.source.kind == "page" and is_still(width, height):
            miss = Miss("not-a-poster", response.url, "it is much wider than high, as stills are", response.status)
            yield from self.settle_miss(task, miss)
            return
        poster = Poster(
            url=response.url,
            http_status=response.status,
            attempts=task.attempts,
            extension=extension,
            width=width,
            height=height,
            etag=_header(response, "ETag"),
            last_modified=_header(response, "Last-Modified"),
            sha256=sha256(response.body),
            body=response.body,
        )
        try:
            self.downloads.put(task.source.url, poster)
        except sqlite3.Error as error:
            self.stop(f"posters can not be kept ({error})")
        self._finish(task, "ok")

    def handle_failure(self, failure: Failure) -> Iterator[Request]:
        """Record a request that got no usable answer."""
        request: Request = failure.request  # type: ignore[attr-defined]
        miss, proxy = miss_of(failure, request.url), self.hosts[host_of(request.url)].proxy
        if proxy and miss.status == "failed":
            miss = replace(miss, reason=f"{miss.reason}{PROXY}{proxy}")
        yield from self.settle_miss(request.cb_kwargs["task"], miss)

    def settle_miss(self, task: Task, miss: Miss) -> Iterator[Request]:
        """Ask for the picture by its other link, or for the page's next picture, if there is one.

        Else store why the source gave nothing, and ask the next source. After a picture that failed, and may come
        another day, no lesser one takes its place.
        """
        if task.links:
            link, *task.links = task.links
            yield from self._request(link, self.parse_poster, task)
            return
        if task.pictures and miss.status != "failed":
            yield from self._ask_picture(task)
            return
        task.pictures = ()
        try:
            self.downloads.record_miss(task.source.url, replace(miss, attempts=task.attempts))
        except sqlite3.Error as error:
            self.stop(f"the reasons for misses can not be kept ({error})")
        if task.fallbacks:
            task.source, *task.fallbacks = task.fallbacks
            task.attempts = 0
            yield from self.ask(task)
        else:
            self._finish(task, miss.status)

    def stop(self, reason: str) -> None:
        """End the crawl; the person who started it is shown the reason."""
        self.stopped = self.stopped or reason
        # Not awaited: closing waits for the callback that asked for it.
        self._closing = asyncio.ensure_future(self.crawler.engine.close_spider_async(reason="stopped"))

    def _request(
        self,
        url: str,
        parse: Any,
        task: Task,
        headers: dict[str, str] | None = None,
        meta: dict[str, Any] | None = None,
    ) -> Iterator[Request]:
        headers, meta = dict(headers or {}), dict(meta or {})
        stored = self.downloads.get_manifest_fields(task.source.url) if self.refresh else {}
        # A poster that came by a fallback says nothing about the link before it.
        if stored and parse == self.parse_poster and stored["url"] not in task.links:
            etag, modified = self.downloads.get_validators(task.source.url)
            headers |= {"If-None-Match": etag} if etag else {"If-Modified-Since": modified} if modified else {}
            meta["handle_httpstatus_list"] = [304]
        try:
            # Not filtered: several films may name one poster, and each needs its answer.
            yield Request(
                url,
                parse,
                headers=headers,
                meta=meta,
                errback=self.handle_failure,
                cb_kwargs={"task": task},
                dont_filter=True,
            )
        except ValueError:
            yield from self.settle_miss(task, Miss("failed", url, "the link is no URL"))

    def _finish(self, task: Task, status: str) -> None:
        self.progress.count(status)
        self._under_way[task.first_host] -= 1
        self._film_done.set()

    async def _watch_parent(self) -> None:
        while not self.parent.has_ended():
            await asyncio.sleep(WATCH)
        self.stop(GONE)

    def closed(self, reason: str) -> None:
        self._watching.cancel()
        self.progress.close()


def miss_of(failure: Failure, url: str) -> Miss:
    """The miss that a failed request leaves."""
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
