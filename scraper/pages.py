"""Finding the posters that a film's page names."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote, urlsplit

from scrapy.http import TextResponse

from scraper import json_ld
from scraper.json_ld import FILMS, OTHERS, WORKS, Thing

# The pictures that pages name for link previews, the most used first.
MARKS = (
    'meta[property="og:image"]::attr(content)',
    'meta[name="og:image"]::attr(content)',
    'meta[name="twitter:image"]::attr(content)',
    'meta[property="twitter:image"]::attr(content)',
    'link[rel="image_src"]::attr(href)',
)
TITLES = ('meta[property="og:title"]::attr(content)', "title::text")
# Sites show their own logo, or an empty frame, where they have no poster. Such a picture's name holds one of the first
# words, and else only words of the other two kinds and sizes: `no-poster_300x450.png` does, `Casino_poster.jpg` and
# `Default_2014.jpg` do not.
STAND_INS = {"placeholder", "default", "logo", "logos"}
# These make a stand-in's name only together with a word for a picture, or with "found": `No.jpg` may be a film's.
LACK = {"no", "not", "missing", "blank", "empty", "fallback", "unavailable"}
PICTURE = re.compile("pictures?|pic|posters?|images?|img|photo|cover|art|artwork|thumb")
PLAIN = re.compile(
    "available|found|yet|movie|film|tv|show|title|site|website|og|fb|facebook|twitter|share|social|card|icon|thumbnail|"
    "page|small|medium|large|big|square|wide|dark|light|black|white|new|min|hd"
)
NO_PICTURE = re.compile(f"no(?:{PICTURE.pattern})")
SIZE = re.compile(r"\d+x\d+|[wh]\d+|\d+[wx]|v\d+|(?!(?:18|19|20)\d\d$)\d+")
NUMBER = re.compile(r"\d+")
# The rank of a thing of which nothing says that the page is about it.
UNTOLD = 2
# The most pictures of a page that are tried.
MOST = 6
# A picture that is so much wider than high is a still. The widest posters are the British ones, 40 x 30 inches.
STILL = 1.35


def poster_links(response: TextResponse) -> list[str]:
    """The absolute URLs of the posters that a page names, best first.

    JSON-LD's films come first (schema.org: Movie, TVSeries, ...), then its other works, og:image, twitter:image, links
    of the kind image_src, and JSON-LD's products and articles. Pictures of organizations, persons and the like are
    left out, and so are those whose names are a logo's or a placeholder's. Where no link is a URL, one is given.
    """
    known = _things(response)
    film = _subjects([thing for thing in known if json_ld.types(thing) & FILMS], known, response)
    about = film or _subjects([thing for thing in known if json_ld.types(thing) & WORKS], known, response)
    others = [thing for thing in known if json_ld.types(thing) <= OTHERS and not about]
    texts = [link for thing in about for link in json_ld.images(thing, known)]
    texts += [link for mark in MARKS for link in response.css(mark).getall()]
    texts += [link for thing in others for link in json_ld.images(thing, known)]
    links = dict.fromkeys(_absolute(response, json_ld.unescape(text).strip()) for text in texts if text.strip())
    site, title = _words(urlsplit(response.url).hostname or ""), _words(" ".join(_titles(response, about)))
    links = dict.fromkeys(link for link in links if not is_stand_in(link, site, title))
    return [link for link in links if _is_url(link)][:MOST] or list(links)[:1]


def is_still(width: int, height: int) -> bool:
    """Whether a page's picture is so much wider than high that it is a still and no poster."""
    return width > STILL * height


def is_stand_in(link: str, common: Sequence[str] = (), title: Sequence[str] = ()) -> bool:
    """Whether a picture's name says that it is a logo or stands in the place of a poster.

    common: words that say nothing, such as the site's name.
    title: words of the film's title. A film may be called "Default".
    """
    words = _words(unquote(link.split("?")[0].split("#")[0].rstrip("/").rsplit("/", 1)[-1]).rsplit(".", 1)[0])
    words = [word for word in words if word not in common]
    marks = {word for word in words if word in STAND_INS or NO_PICTURE.fullmatch(word)}
    if "found" in words or any(PICTURE.fullmatch(word) for word in words):
        marks |= LACK.intersection(words)
    if not marks or marks.intersection(title):
        return False
    plain = all(
        word in marks or PLAIN.fullmatch(word) or PICTURE.fullmatch(word) or SIZE.fullmatch(word) for word in words
    )
    # A logo carries the name of its owner, and may carry a year.
    names = [
        word for word in words if not PLAIN.fullmatch(word) and not SIZE.fullmatch(word) and not NUMBER.fullmatch(word)
    ]
    return plain or names[-1:] in (["logo"], ["logos"])


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", text.lower()) if word]


def _things(response: TextResponse) -> list[Thing]:
    scripts = response.xpath("//script[contains(translate(@type, 'LDJSON', 'ldjson'), 'ld+json')]")
    blocks = ["".join(script.xpath("text()").getall()) for script in scripts]
    try:
        return [thing for block in blocks for thing in json_ld.things(json_ld.read(block))]
    except RecursionError:
        return []  # nested deeper than any page has reason to be


def _subjects(things: Sequence[Thing], known: Sequence[Thing], response: TextResponse) -> list[Thing]:
    """The things that a page is about, among films or works: pages show others too, such as those to see next.

    Where neither address nor name tells, it is the first one that has a picture.
    """
    ranks = [_rank(thing, response) for thing in things]
    if ranks and min(ranks) < UNTOLD:
        return [thing for thing, rank in zip(things, ranks, strict=True) if rank == min(ranks)]
    return next(([thing] for thing in things if json_ld.images(thing, known)), [])


def _rank(film: Thing, response: TextResponse) -> int:
    """0 where the thing has the page's address, 1 where the page's title has its name, else `UNTOLD`."""
    names = [film.get(key) for key in ("url", "@id", "mainEntityOfPage")]
    addresses = [_address(_absolute(response, name)) for name in names if isinstance(name, str) and name]
    canonical = response.css('link[rel="canonical"]::attr(href), meta[property="og:url"]::attr(content)').getall()
    if {_address(response.url), *(_address(_absolute(response, url)) for url in canonical)}.intersection(addresses):
        return 0
    name = " ".join(_words(str(film.get("name") or "")))
    titles = (" ".join(_words(title)) for title in _titles(response, []))
    return 1 if name and any(f" {name} " in f" {title} " for title in titles) else UNTOLD


def _titles(response: TextResponse, films: Sequence[Thing]) -> Iterator[str]:
    yield from (title for place in TITLES for title in response.css(place).getall())
    yield from (film["name"] for film in films[:1] if isinstance(film.get("name"), str))


def _address(url: str) -> str:
    return url.split("#")[0].split("?")[0].split("://")[-1].rstrip("/")


def _is_url(link: str) -> bool:
    try:
        return urlsplit(link).scheme in ("http", "https") and bool(urlsplit(link).hostname)
    except ValueError:
        return False


def _absolute(response: TextResponse, link: str) -> str:
    try:
        return response.urljoin(link)
    except ValueError:
        return link
