"""Fetches single pictures under the rules of a crawl: robots.txt, private addresses, sizes, time-outs, repeats."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from postergenre.data.images import ImageError
from scraper import crawl, wanted
from scraper.downloads import open_downloads
from scraper.plan import ScrapeParams
from scraper.tasks import Source


@contextmanager
def fetched(urls: Sequence[str], params: ScrapeParams, own_site: str = "") -> Iterator[Callable[[str], bytes]]:
    """Fetch all addresses; the block gets a function from an address to the picture that it gave.

    The function raises ImageError where an address gave none, with the reason. What came is deleted when the block
    ends. A process can do this once, because a crawl can be run once.

    own_site: as in `crawl.crawl`.

    Raises:
        InputError: as `crawl.crawl`.
    """
    params = params.model_copy(update={"source": "poster", "processes": 1, "refresh": False})
    sources = [[Source("poster", url)] for url in dict.fromkeys(urls)]
    with TemporaryDirectory() as folder, open_downloads(Path(folder)) as downloads:
        with wanted.write(Path(folder, "wanted.sqlite"), sources) as films, _signals_kept():
            crawl.crawl(films, downloads.file, params, own_site)

        def read(url: str) -> bytes:
            miss = downloads.get_miss(url)
            if miss and miss.status == "not-a-poster":
                raise ImageError(miss.reason)
            if miss:
                raise ImageError(f"it cannot be fetched ({miss.reason})")
            return downloads.get(url).body

        yield read


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Put back what Ctrl-C and SIGTERM do: Scrapy leaves its own handlers, which wait for a crawl that has ended."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
