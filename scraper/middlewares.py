"""Scrapy's middlewares, where they need mending."""

import asyncio
from collections import defaultdict
from typing import Any

from scrapy import Request
from scrapy.downloadermiddlewares.robotstxt import RobotsTxtMiddleware
from scrapy.robotstxt import RobotParser
from scrapy.utils.httpobj import urlparse_cached


class ObeyRobotsTxt(RobotsTxtMiddleware):
    """Holds every request back until its host's robots.txt is read.

    In Scrapy 2.19 only the first two requests of those that wait for one robots.txt get its rules, and the others go
    out as if there were none: they await one Deferred, which hands its result to the first of them.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def robot_parser(self, request: Request) -> RobotParser | None:
        async with self._turns[urlparse_cached(request).netloc]:
            return await super().robot_parser(request)
