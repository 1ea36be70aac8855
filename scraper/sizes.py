"""Asking image hosts for a poster in a given width, by the way in which their links name sizes.

IMDb's hosts name the size before the suffix: `NAME._V1_UX182_CR0,0,182,268_AL_.jpg` is 182 pixels wide and cropped,
`NAME._V1_SX300.jpg` at most 300 wide, `NAME._V1_.jpg` as it came (github.com/cinemagoer/cinemagoer/issues/146,
github.com/andig/videodb/pull/85). TMDB's name one of a few sizes in the path: `/t/p/w185/NAME.jpg`
(developer.themoviedb.org/docs/image-basics).
"""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from scraper.private_hosts import PrivateHosts, is_loopback

Width = int | Literal["original"] | None

# Domains of hosts that are known to resize. A link of any other host stays as it is: a copy of such a picture keeps its
# name, but no other size of it is there, and each film would cost a request in vain. This machine's own hosts and those
# of `scrape.private_hosts` are asked in this way too, for a mirror serves the same links.
IMDB = ("media-amazon.com", "ssl-images-amazon.com", "images-amazon.com", "media-imdb.com")
TMDB = ("tmdb.org", "themoviedb.org")
# Of most published posters.
USUAL_WIDTH = 300
TMDB_WIDTHS = (92, 154, 185, 342, 500, 780)
# A film's picture, with or without a size.
IMDB_NAME = re.compile(r"(/images/M/[^/]+?)(?:\._V\d[\w.,]*)?\.(jpe?g|png|webp|gif)", re.IGNORECASE)
SIZED_NAME = re.compile(r"(.*/[^/]+?)\._V\d[\w.,]*\.(jpe?g|png|webp|gif)", re.IGNORECASE)
TMDB_NAME = re.compile(r"(.*/t/p)/(?:original|[wh]\d+\w*)/([^/]+)")


@dataclass(frozen=True)
class Sizes:
    """How wide posters should be.

    width: pixels, `original` for as large as the host has them, or None for links as they stand.
    tmdb_images: address of TMDB's pictures, or of a mirror of them.
    mirrors: `scrape.private_hosts`.
    """

    width: Width
    tmdb_images: str
    mirrors: PrivateHosts

    def links(self, link: str) -> list[str]:
        """The links to ask for a picture, in their order: in the width, if its host resizes; then as it stands."""
        try:
            url = urlsplit(link)
            host = url.hostname or ""
        except ValueError:
            return [link]  # the spider records that it is no URL
        path = "" if self.width is None else self._imdb(url, host) or self._tmdb(url, host)
        return [url._replace(path=path).geturl(), link] if path not in ("", url.path) else [link]

    def page_key(self, page: str) -> str:
        """A film's page as the key of its poster in this width. What follows # is never sent."""
        return f"{page}#width={self.width}" if page and self.width is not None else page

    def tmdb_size(self) -> str:
        """TMDB's next size that is wide enough. Paths in TMDB's tables name none, so None has one too."""
        if self.width == "original":
            return self.width
        wanted = self.width or USUAL_WIDTH
        return next((f"w{width}" for width in TMDB_WIDTHS if width >= wanted), "original")

    def _imdb(self, url: SplitResult, host: str) -> str:
        """The path of an IMDb picture in the width, "" for what is none."""
        is_known = _is_in(host, IMDB) or self._is_mirror(host)
        match = (IMDB_NAME.fullmatch(url.path) or SIZED_NAME.fullmatch(url.path)) if is_known else None
        if not match:
            return ""
        # SX makes it smaller, never larger.
        return f"{match[1]}._V1_{'' if self.width == 'original' else f'SX{self.width}'}.{match[2]}"

    def _tmdb(self, url: SplitResult, host: str) -> str:
        """The path of a TMDB picture in the width, "" for what is none."""
        is_known = _is_in(host, TMDB) or self._is_mirror(host) or host == urlsplit(self.tmdb_images).hostname
        match = TMDB_NAME.fullmatch(url.path) if is_known else None
        return f"{match[1]}/{self.tmdb_size()}/{match[2]}" if match else ""

    def _is_mirror(self, host: str) -> bool:
        return is_loopback(host) or self.mirrors.list_host(host)


def _is_in(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)
