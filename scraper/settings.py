"""Scrapy's settings for every crawl; `scraper.crawl` adds those that depend on params.yaml."""

from typing import Any

DOWNLOADER, SPIDER = "scrapy.downloadermiddlewares.", "scrapy.spidermiddlewares."

SETTINGS: dict[str, Any] = {
    "BOT_NAME": "postergenre",
    "ROBOTSTXT_OBEY": True,
    "DOWNLOADER_MIDDLEWARES": {
        "scraper.middlewares.PublicOnly": 50,
        f"{DOWNLOADER}robotstxt.RobotsTxtMiddleware": None,
        "scraper.middlewares.ObeyRobotsTxt": 100,
        # Scrapy's RetryMiddleware retries at once and ignores Retry-After.
        f"{DOWNLOADER}retry.RetryMiddleware": None,
        "scraper.middlewares.Politeness": 550,
        "scraper.middlewares.OptOut": 560,
        # Scrapy's asks this machine through the proxy too.
        f"{DOWNLOADER}httpproxy.HttpProxyMiddleware": None,
        "scraper.middlewares.Proxy": 750,
        # A crawl needs none of these. Together they take a tenth of its processor time.
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
    # Two redirects are usual (a padded id, a final slash). A loop must end.
    "REDIRECT_MAX_TIMES": 6,
    # A poster needs no session.
    "COOKIES_ENABLED": False,
    # Only http and https: a catalogue or a page must not reach files, data: links or buckets.
    "DOWNLOAD_HANDLERS": dict.fromkeys(("file", "data", "s3", "ftp")),
    "TWISTED_DNS_RESOLVER": "scraper.resolver.PublicResolver",
    # Scrapy does not verify certificates unless asked to.
    "DOWNLOAD_VERIFY_CERTIFICATES": True,
    # No ports that take commands.
    "TELNETCONSOLE_ENABLED": False,
    "REMOTE_CONTROL_ENABLED": False,
    # The spider and Scrapy limit the requests to each host. All hosts together need no further limit.
    "CONCURRENT_REQUESTS": 1000,
    # Scrapy starts so many tasks for each answer, and an answer leads to one request at most.
    "CONCURRENT_ITEMS": 1,
    # Else Scrapy parses the callback's source for each answer, to find a mistake that the tests would find.
    "WARN_ON_GENERATOR_RETURN_VALUE": False,
    "LOG_LEVEL": "WARNING",
    # The manifest counts these, without a log line for each.
    "RETRY_GIVE_UP_LOG_LEVEL": "DEBUG",
    "LOG_FORMAT": "%(levelname)s: %(message)s",
}
