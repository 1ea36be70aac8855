"""One run of the spider, from Scrapy's settings to an honest end: `scrapy crawl` exits 0 whatever happened."""

import gc
import logging
import multiprocessing
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from scrapy.crawler import CrawlerProcess

from postergenre.errors import InputError
from scraper import downloads, resolver, starter
from scraper.hosts import Hosts
from scraper.plan import ScrapeParams
from scraper.progress import Progress
from scraper.settings import SETTINGS
from scraper.spiders.posters import PostersSpider
from scraper.tmdb import Tmdb, check_token
from scraper.wanted import Wanted

# Names of this machine: where they are allowed at all, nobody is disturbed.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# At once to a host of our own.
OWN_CONCURRENCY = 16
# Seconds between two looks at whether anybody still waits for the crawl.
WATCH = 1.0


@dataclass(frozen=True)
class Ended:
    """How a crawl ended. fault: one sentence, "" where it reached its end; blocked: hosts that turned us away."""

    fault: str = ""
    blocked: dict[str, str] = field(default_factory=dict)


def crawl(wanted: Wanted, store: Path, params: ScrapeParams, own_site: str = "") -> dict[str, str]:
    """Fetch the wanted posters into the store; the hosts that turned us away, and how.

    own_site: `host:port` of a site that we serve ourselves, which is asked although its address is private.

    Raises:
        InputError: the crawl did not reach its end: stopped by a signal, a full disk or a fault of the spider's own.
    """
    if "tmdb" in params.sources:
        check_token()
    parts = min(params.processes, params.concurrency, len(wanted))
    if parts > 1:
        ended = _crawl_parts(wanted.file, parts, store, params, own_site)
    else:
        ended = [_crawl(wanted, store, params, own_site)] if len(wanted) else []
    for fault in [one.fault for one in ended if one.fault]:
        raise InputError(fault)
    return {host: reason for one in ended for host, reason in one.blocked.items()}


def _crawl_parts(wanted: Path, parts: int, store: Path, params: ScrapeParams, own_site: str) -> list[Ended]:
    """Each part in a process of its own; the limits for one host hold for all of them together."""
    share = params.model_copy(update={"concurrency": params.concurrency // parts, "delay": params.delay * parts})
    context, started = multiprocessing.get_context("spawn"), starter.dvc()
    with ExitStack() as stack:
        ends = []
        for part in range(parts):
            end, other = context.Pipe(duplex=False)
            process = context.Process(target=_crawl_part, args=(other, wanted, part, parts, store, share, own_site))
            process.start()
            other.close()
            stack.callback(process.join)
            stack.callback(process.terminate)  # Scrapy's SIGTERM: it winds up; nothing to one that has ended
            ends.append(end)
        return [_received(end, started) for end in ends]


def _received(end: "Connection[Ended, Any]", started: starter.Starter) -> Ended:
    while not end.poll(WATCH):
        if started.gone():
            return Ended(f"the crawl was stopped: {starter.GONE}; what came is kept, `dvc repro` goes on from there")
    try:
        ended: Ended = end.recv()
        return ended
    except EOFError:
        return Ended("a process of the crawl died; what came is kept, `dvc repro` goes on from there")


def _crawl_part(
    end: "Connection[Any, Ended]",
    wanted: Path,
    part: int,
    parts: int,
    store: Path,
    params: ScrapeParams,
    own_site: str,
) -> None:
    end.send(_crawl(Wanted(wanted, part, parts), store, params, own_site, starter.parent()))


def _crawl(
    wanted: Wanted, store: Path, params: ScrapeParams, own_site: str, started: starter.Starter | None = None
) -> Ended:
    process = CrawlerProcess(SETTINGS | _settings(params, own_site))
    # Scrapy has a line at debug level for each request and answer, and makes it before it asks who reads it.
    logging.getLogger("scrapy").setLevel(logging.WARNING)
    # What is loaded by now stays; else Python looks through all of it for garbage, again and again.
    gc.freeze()
    # Where robots.txt does not come, the posters do not either, and the manifest says so without a traceback.
    logging.getLogger("scrapy.downloadermiddlewares.robotstxt").setLevel(logging.CRITICAL)
    crawler = process.create_crawler(PostersSpider)
    hosts = Hosts(params.delay, LOOPBACK)
    with downloads.joined(store) as kept:
        process.crawl(
            crawler,
            wanted=wanted,
            downloads=kept,
            hosts=hosts,
            tmdb=Tmdb(params.tmdb),
            progress=Progress(len(wanted)),
            refresh=params.refresh,
            starter=started or starter.dvc(),
        )
        process.start()
    spider, stats = crawler.spider, crawler.stats
    if not isinstance(spider, PostersSpider) or stats is None:
        return Ended("the crawl could not start; its log above says why")
    if spider.stopped:
        return Ended(f"the crawl was stopped: {spider.stopped}; what came is kept, `dvc repro` goes on from there")
    if stats.get_value("finish_reason") != "finished":
        return Ended("the crawl was interrupted; what came is kept, `dvc repro` goes on from there")
    if stats.get_value("spider_exceptions/count", 0):
        return Ended("the spider failed on a page, see its log above; what came is kept")
    return Ended(blocked=hosts.blocked())


def _settings(params: ScrapeParams, own_site: str) -> dict[str, object]:
    own = {"concurrency": OWN_CONCURRENCY, "delay": 0, "jitter": 0}
    return {
        "USER_AGENT": f"{params.user_agent} (+{params.contact})" if params.contact else params.user_agent,
        "CONCURRENT_REQUESTS_PER_DOMAIN": params.concurrency,
        "DOWNLOAD_DELAY": params.delay,
        "DOWNLOAD_SLOTS": dict.fromkeys(LOOPBACK, own),
        "DOWNLOAD_TIMEOUT": params.timeout,
        "DOWNLOAD_MAXSIZE": params.max_bytes,
        "DOWNLOAD_WARNSIZE": 0,
        "RETRY_TIMES": params.retries,
        resolver.ALLOWED: params.allow_private_hosts,
        resolver.OWN: own_site,
    }
