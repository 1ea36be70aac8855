"""Runs the spider and reports how the crawl ended, because `scrapy crawl` exits 0 whatever happens."""

import gc
import logging
import multiprocessing
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from postergenre.errors import InputError
from scraper import parent_process, resolver
from scraper.downloads import join_downloads
from scraper.hosts import LOOPBACK, Hosts
from scraper.parent_process import ParentProcess
from scraper.plan import ScrapeParams
from scraper.progress import Progress
from scraper.settings import SETTINGS
from scraper.spiders.posters import PostersSpider
from scraper.tmdb import Tmdb, check_token
from scraper.wanted import WantedFilms

# Requests under way to a host of our own.
OWN_CONCURRENCY = 16
# Seconds between two looks at whether the process that started the crawl has ended.
WATCH = 1.0
LOG_LEVELS = {
    # Scrapy builds a debug line for each request and answer before it checks whether anybody reads it.
    "scrapy": logging.WARNING,
    # Where robots.txt fails, the manifest gives the reason for each poster; a traceback adds nothing.
    "scrapy.downloadermiddlewares.robotstxt": logging.CRITICAL,
}
GOES_ON = "what came is kept, `dvc repro` goes on from there"


@dataclass(frozen=True)
class Job:
    """One process's share of a crawl.

    wanted_file: the file of the wanted films.
    part, parts: which of its films to ask for.
    downloads_file: where posters and misses are stored.
    params: `scrape` in params.yaml.
    own_site: `host:port` of a site that we serve ourselves, "" for none. It is asked although its address is private.
    """

    wanted_file: Path
    part: int
    parts: int
    downloads_file: Path
    params: ScrapeParams
    own_site: str


@dataclass(frozen=True)
class Outcome:
    """How one process's share ended.

    fault: one sentence, "" where all films were asked for.
    blocked: the hosts that turned us away, each with the reason.
    """

    fault: str = ""
    blocked: dict[str, str] = field(default_factory=dict)


def crawl(wanted: WantedFilms, downloads_file: Path, params: ScrapeParams, own_site: str = "") -> dict[str, str]:
    """Fetch the wanted posters into the downloads; returns the hosts that turned us away, each with the reason.

    A process can call this once: Twisted's reactor does not start a second time.

    own_site: as in `Job`.

    Raises:
        InputError: the crawl was stopped by a signal, a full disk or a fault of the spider.
    """
    if "tmdb" in params.sources:
        check_token()
    parts = min(params.processes, params.concurrency, len(wanted))
    job = Job(wanted.file, 0, parts, downloads_file, params, own_site)
    if not parts:
        return {}
    outcomes = _run_processes(job) if parts > 1 else [_run_spider(job, parent_process.find_dvc())]
    for outcome in outcomes:
        if outcome.fault:
            raise InputError(outcome.fault)
    return {host: reason for outcome in outcomes for host, reason in outcome.blocked.items()}


def _run_processes(job: Job) -> list[Outcome]:
    """Run each part in its own process. The limits for one host hold for all of them together."""
    limits = {"concurrency": job.params.concurrency // job.parts, "delay": job.params.delay * job.parts}
    job = replace(job, params=job.params.model_copy(update=limits))
    context, dvc = multiprocessing.get_context("spawn"), parent_process.find_dvc()
    with ExitStack() as stack:
        pipes = []
        for part in range(job.parts):
            pipe, child_pipe = context.Pipe(duplex=False)
            process = context.Process(target=_run_part, args=(child_pipe, replace(job, part=part)))
            process.start()
            child_pipe.close()
            stack.callback(process.join)
            stack.callback(process.terminate)  # SIGTERM lets Scrapy wind up; a process that has ended ignores it
            pipes.append(pipe)
        return [_receive(pipe, dvc) for pipe in pipes]


def _receive(pipe: "Connection[Outcome, Any]", dvc: ParentProcess) -> Outcome:
    while not pipe.poll(WATCH):
        if dvc.has_ended():
            return Outcome(f"the crawl was stopped: {parent_process.GONE}; {GOES_ON}")
    try:
        outcome: Outcome = pipe.recv()
        return outcome
    except EOFError:
        return Outcome(f"a process of the crawl died; {GOES_ON}")


def _run_part(pipe: "Connection[Any, Outcome]", job: Job) -> None:
    pipe.send(_run_spider(job, parent_process.find_parent()))


def _run_spider(job: Job, parent: ParentProcess) -> Outcome:
    """Run the spider in this process, until it is done or `parent` has ended."""
    wanted, hosts = WantedFilms(job.wanted_file, job.part, job.parts), Hosts(job.params.delay, LOOPBACK)
    with join_downloads(job.downloads_file) as downloads, _tuned_process():
        process = resolver.PosterCrawlerProcess(SETTINGS | _settings(job.params, job.own_site), hosts)
        _set_log_levels(LOG_LEVELS)  # after Scrapy has set its own
        crawler = process.create_crawler(PostersSpider)
        process.crawl(
            crawler,
            wanted=wanted,
            downloads=downloads,
            hosts=hosts,
            tmdb=Tmdb(job.params.tmdb, job.params.sizes),
            sizes=job.params.sizes,
            progress=Progress(len(wanted)),
            refresh=job.params.refresh,
            parent=parent,
        )
        process.start()
    spider, stats = crawler.spider, crawler.stats
    if not isinstance(spider, PostersSpider) or stats is None:
        return Outcome("the crawl could not start; its log above says why")
    if spider.stopped:
        return Outcome(f"the crawl was stopped: {spider.stopped}; {GOES_ON}")
    if stats.get_value("finish_reason") != "finished":
        return Outcome(f"the crawl was interrupted; {GOES_ON}")
    if stats.get_value("spider_exceptions/count", 0):
        return Outcome("the spider failed on a page, see its log above; what came is kept")
    return Outcome(blocked=hosts.blocked())


@contextmanager
def _tuned_process() -> Iterator[None]:
    """Let this process work for the crawl alone, and put back what that changes: log levels and garbage collection."""
    levels = {name: logging.getLogger(name).level for name in LOG_LEVELS}
    gc.freeze()  # else Python searches all modules loaded so far for garbage, again and again
    try:
        yield
    finally:
        gc.unfreeze()
        _set_log_levels(levels)


def _set_log_levels(levels: dict[str, int]) -> None:
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


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
        resolver.PRIVATE_HOSTS: [*params.private_hosts, *([own_site] if own_site else [])],
    }
