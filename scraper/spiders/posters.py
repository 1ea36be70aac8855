"""The `posters` spider: asks for each wanted film's poster, source after source, until one gives it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from scrapy import Request, Spider
from scrapy.exceptions import IgnoreRequest
from scrapy.http import Response, TextResponse
from scrapy.spidermiddlewares.httperror import HttpError
from tqdm import tqdm
from twisted.python.failure import Failure

from postergenre import images
from postergenre.downloads import Downloads, Poster
from scraper.items import Outcome, PosterItem, Source, Status
from scraper.pages import poster_link

# What a callback brings: where to ask next, or a poster.
Found = Iterator[Request | PosterItem]

STATUS_OF: dict[int, Status] = {404: "gone", 410: "gone", 401: "refused", 403: "refused", 429: "refused"}
# Scrapy's messages repeat the URL, which would make every reason a kind of its own.
REASON_OF = {
    "DownloadConnectionRefusedError": "connection refused",
    "CannotResolveHostError": "host name unknown",
    "DownloadTimeoutError": "no complete answer in time",
    "DownloadFailedError": "connection broken off",
    "ResponseDataLossError": "answer incomplete",
    "DownloadCancelledError": "larger than scrape.max_bytes",
    "NotSupported": "neither http nor https",
}


class PostersSpider(Spider):
    """Fills `downloads` and, for what did not come, `outcomes`.

    wanted: the sources of each film's poster by its IMDb id, best first; films that `downloads` holds are not in it.
    """

    name = "posters"

    def __init__(self, wanted: Mapping[str, list[Source]], downloads: Downloads, **kwargs: Any):
        super().__init__(**kwargs)
        self.wanted, self.downloads = wanted, downloads
        self.outcomes: dict[str, Outcome] = {}
        self.stopped = ""
        self.progress = tqdm(total=len(wanted), unit=" posters", desc="scrape", disable=None)

    async def start(self) -> AsyncIterator[Any]:
        for imdb_id, sources in self.wanted.items():
            for request in self.ask(imdb_id, sources):
                yield request

    def ask(self, imdb_id: str, sources: list[Source]) -> Found:
        """Ask the first of `sources`; its answer, or the lack of one, leads on to the others."""
        source, *others = sources
        parse = self.parse_poster if source.kind == "poster" else self.parse_page
        context = {"imdb_id": imdb_id, "source": source, "others": others}
        try:
            # Several films may name one poster, and each needs its answer.
            yield Request(source.url, parse, errback=self.failed, cb_kwargs=context, dont_filter=True)
        except ValueError:
            yield from self.settle(Outcome("failed", source.url, "the link is no URL"), imdb_id, source, others)

    def parse_page(self, response: Response, **context: Any) -> Found:
        """A film's page: goes on to the picture that it shows."""
        try:
            link = poster_link(response) if isinstance(response, TextResponse) else ""
            if link:
                yield Request(link, self.parse_poster, errback=self.failed, cb_kwargs=context, dont_filter=True)
                return
            reason = "the page shows no poster"
        except ValueError:
            reason = "the page's link to its poster is no URL"
        yield from self.settle(Outcome("not-a-poster", response.url, reason, response.status), **context)

    def parse_poster(self, response: Response, **context: Any) -> Found:
        """A picture: kept as served, if it is one."""
        try:
            extension = images.identify(response.body)
        except images.ImageError as error:
            yield from self.settle(Outcome("not-a-poster", response.url, str(error), response.status), **context)
            return
        self.progress.update()
        yield PosterItem(context["source"].url, Poster(response.status, extension, response.body))

    def failed(self, failure: Failure) -> Found:
        """A request that got no usable answer."""
        request: Request = failure.request  # type: ignore[attr-defined]
        yield from self.settle(outcome_of(failure, request.url), **request.cb_kwargs)

    def settle(self, outcome: Outcome, imdb_id: str, source: Source, others: list[Source]) -> Found:
        """Ask the next source, or else take `outcome` as the film's."""
        if others:
            yield from self.ask(imdb_id, others)
        else:
            self.outcomes[imdb_id] = outcome
            self.progress.update()

    def stop(self, reason: str) -> None:
        """End the crawl; `reason` says why to the person who started it."""
        self.stopped = self.stopped or reason
        # Not awaited: closing waits for the item whose pipeline asked for it.
        self._closing = asyncio.ensure_future(self.crawler.engine.close_spider_async(reason="stopped"))

    def closed(self, reason: str) -> None:
        self.progress.close()


def outcome_of(failure: Failure, url: str) -> Outcome:
    """What a failed request says of its poster."""
    error = failure.value
    if isinstance(error, HttpError):
        status = error.response.status
        return Outcome(STATUS_OF.get(status, "failed"), url, f"HTTP {status}", status)
    if isinstance(error, IgnoreRequest):
        return Outcome("refused" if "robots.txt" in str(error) else "failed", url, str(error))
    return Outcome("failed", url, REASON_OF.get(type(error).__name__, f"{type(error).__name__}: {error}"[:200]))
