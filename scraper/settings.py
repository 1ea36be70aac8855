"""Scrapy's settings for every crawl; `crawl` adds what params.yaml decides."""

from typing import Any

SETTINGS: dict[str, Any] = {
    "BOT_NAME": "postergenre",
    "ITEM_PIPELINES": {"scraper.pipelines.KeepPoster": 100},
    "ROBOTSTXT_OBEY": True,
    "DOWNLOADER_MIDDLEWARES": {
        "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
        "scraper.middlewares.ObeyRobotsTxt": 100,
    },
    # Two redirects are usual (padding, then a slash); a loop must end.
    "REDIRECT_MAX_TIMES": 6,
    # A poster needs no session.
    "COOKIES_ENABLED": False,
    # Nothing but http and https: a catalogue or a page must not reach files, data: links or buckets.
    "DOWNLOAD_HANDLERS": dict.fromkeys(("file", "data", "s3", "ftp")),
    # Off by default in Scrapy: a poster comes from whom it says or not at all.
    "DOWNLOAD_VERIFY_CERTIFICATES": True,
    # No port that takes commands.
    "TELNETCONSOLE_ENABLED": False,
    "REMOTE_CONTROL_ENABLED": False,
    "LOG_LEVEL": "WARNING",
    # The manifest says it, with a count instead of a line each.
    "RETRY_GIVE_UP_LOG_LEVEL": "DEBUG",
    "LOG_FORMAT": "%(levelname)s: %(message)s",
}
