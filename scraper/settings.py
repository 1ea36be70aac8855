"""Scrapy's settings for every crawl; `crawl` adds what params.yaml decides."""

from typing import Any

DOWNLOADER, SPIDER = "scrapy.downloadermiddlewares.", "scrapy.spidermiddlewares."

SETTINGS: dict[str, Any] = {
    "BOT_NAME": "postergenre",
    "ITEM_PIPELINES": {"scraper.pipelines.KeepPoster": 100},
    "ROBOTSTXT_OBEY": True,
    "DOWNLOADER_MIDDLEWARES": {
        "scraper.middlewares.PublicOnly": 50,
        f"{DOWNLOADER}robotstxt.RobotsTxtMiddleware": None,
        "scraper.middlewares.ObeyRobotsTxt": 100,
        # Scrapy's tries again at once, without asking Retry-After.
        f"{DOWNLOADER}retry.RetryMiddleware": None,
        "scraper.middlewares.Politeness": 550,
        "scraper.middlewares.OptOut": 560,
        # Nobody needs these, and together they cost a tenth of a crawl's processor time.
        f"{DOWNLOADER}httpauth.HttpAuthMiddleware": None,
        f"{DOWNLOADER}offsite.OffsiteMiddleware": None,
        f"{DOWNLOADER}redirect.MetaRefreshMiddleware": None,
        f"{DOWNLOADER}stats.DownloaderStats": None,
    },
    "SPIDER_MIDDLEWARES": {
        f"{SPIDER}depth.DepthMiddleware": None,
        f"{SPIDER}start.StartSpiderMiddleware": None,
        f"{SPIDER}urllength.UrlLengthMiddleware": None,
    },
    # Two redirects are usual (padding, then a slash); a loop must end.
    "REDIRECT_MAX_TIMES": 6,
    # A poster needs no session.
    "COOKIES_ENABLED": False,
    # Nothing but http and https: a catalogue or a page must not reach files, data: links or buckets.
    "DOWNLOAD_HANDLERS": dict.fromkeys(("file", "data", "s3", "ftp")),
    "TWISTED_DNS_RESOLVER": "scraper.resolver.PublicResolver",
    # Off by default in Scrapy: a poster comes from whom it says or not at all.
    "DOWNLOAD_VERIFY_CERTIFICATES": True,
    # No port that takes commands.
    "TELNETCONSOLE_ENABLED": False,
    "REMOTE_CONTROL_ENABLED": False,
    # Requests are bounded for each host, by the spider and by Scrapy; together they need no further bound.
    "CONCURRENT_REQUESTS": 1000,
    # An answer brings one poster at most, and Scrapy starts so many tasks for each answer.
    "CONCURRENT_ITEMS": 1,
    # Else the source of the callback is parsed for each answer, in search of a mistake that the tests would show.
    "WARN_ON_GENERATOR_RETURN_VALUE": False,
    "LOG_LEVEL": "WARNING",
    # The manifest says it, with a count instead of a line each.
    "RETRY_GIVE_UP_LOG_LEVEL": "DEBUG",
    "LOG_FORMAT": "%(levelname)s: %(message)s",
}
