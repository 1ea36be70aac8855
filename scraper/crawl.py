"""One run of the spider, from Scrapy's settings to an honest end: `scrapy crawl` exits 0 whatever happened."""

import logging
from collections.abc import Mapping

from scrapy.crawler import CrawlerProcess

from postergenre.downloads import Downloads
from postergenre.errors import InputError
from scraper.items import Outcome, Source
from scraper.plan import ScrapeParams
from scraper.settings import SETTINGS
from scraper.spiders.posters import PostersSpider


def crawl(wanted: Mapping[str, list[Source]], downloads: Downloads, params: ScrapeParams) -> dict[str, Outcome]:
    """Fetch the wanted posters into `downloads`; how it ended for each film whose poster did not come.

    Raises:
        InputError: the crawl did not reach its end: stopped by a signal, a full disk or a fault of the spider's own.
    """
    process = CrawlerProcess(SETTINGS | _politeness(params))
    # Where robots.txt does not come, the posters do not either, and the manifest says so without a traceback.
    logging.getLogger("scrapy.downloadermiddlewares.robotstxt").setLevel(logging.CRITICAL)
    crawler = process.create_crawler(PostersSpider)
    process.crawl(crawler, wanted=wanted, downloads=downloads)
    process.start()
    spider, stats = crawler.spider, crawler.stats
    if not isinstance(spider, PostersSpider) or stats is None:
        raise InputError("the crawl could not start; its log above says why")
    if spider.stopped:
        raise InputError(f"the crawl was stopped: {spider.stopped}; what came is kept, `dvc repro` goes on from there")
    if stats.get_value("finish_reason") != "finished":
        raise InputError("the crawl was interrupted; what came is kept, `dvc repro` goes on from there")
    if stats.get_value("spider_exceptions/count", 0):
        raise InputError("the spider failed on a page, see its log above; what came is kept")
    return spider.outcomes


def _politeness(params: ScrapeParams) -> dict[str, object]:
    return {
        "USER_AGENT": params.user_agent,
        "CONCURRENT_REQUESTS": max(params.concurrency, 16),
        "CONCURRENT_REQUESTS_PER_DOMAIN": params.concurrency,
        "DOWNLOAD_DELAY": params.delay,
        "DOWNLOAD_TIMEOUT": params.timeout,
        "DOWNLOAD_MAXSIZE": params.max_bytes,
        "DOWNLOAD_WARNSIZE": 0,
        "RETRY_TIMES": params.retries,
    }
