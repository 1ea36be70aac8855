"""Keeping what the spider brings."""

import sqlite3
from typing import TYPE_CHECKING

from scrapy import Item
from scrapy.crawler import Crawler

from scraper.items import PosterItem

if TYPE_CHECKING:
    from scraper.spiders.posters import PostersSpider


class KeepPoster:
    """Puts each poster into the downloads; ends the crawl where they cannot be written."""

    def __init__(self, crawler: Crawler):
        self.crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> "KeepPoster":
        return cls(crawler)

    async def process_item(self, item: PosterItem | Item) -> PosterItem | Item:
        if isinstance(item, PosterItem):
            spider: PostersSpider = self.crawler.spider  # type: ignore[assignment]
            try:
                spider.downloads.put(item.asked, item.poster)
            except sqlite3.Error as error:
                spider.stop(f"posters can not be kept ({error})")
        return item
