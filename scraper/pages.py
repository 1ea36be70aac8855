"""Where a film's page says its poster is."""

import json
import re
from collections.abc import Iterator
from typing import Any

from scrapy.http import TextResponse

# After JSON-LD: what pages name for those who link to them, the most used first.
MARKS = (
    'meta[property="og:image"]::attr(content)',
    'meta[name="twitter:image"]::attr(content)',
    'link[rel="image_src"]::attr(href)',
)
# Sites show their own logo, or a drawing of nothing, where they have no poster.
GENERIC = re.compile(r"logo|no[-_]?(picture|poster|image)|placeholder|default", re.IGNORECASE)


def poster_link(response: TextResponse) -> str:
    """The absolute URL of the poster that a page names, "" for none.

    In this order: JSON-LD (schema.org `image`), og:image, twitter:image, a link of the kind image_src; what looks like
    the site's logo or a stand-in is passed over.
    """
    found = [
        link for block in response.css('script[type="application/ld+json"]::text').getall() for link in _json_ld(block)
    ]
    found += [link for mark in MARKS for link in response.css(mark).getall()]
    links = (response.urljoin(link.strip()) for link in found if link.strip())
    return next((link for link in links if not GENERIC.search(link.rsplit("/", 1)[-1])), "")


def _json_ld(block: str) -> Iterator[str]:
    """The images in one JSON-LD block: of a thing, of each in a list, of each in a graph."""
    try:
        things = json.loads(block)
    except ValueError:
        return  # a page's broken markup; og:image is asked next
    things = things.get("@graph", [things]) if isinstance(things, dict) else things
    for thing in things if isinstance(things, list) else []:
        if isinstance(thing, dict):
            yield from _images(thing.get("image"))


def _images(value: Any) -> Iterator[str]:
    """schema.org allows a URL, an ImageObject, or a list of either."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _images(value.get("url") or value.get("contentUrl"))
    elif isinstance(value, list):
        for one in value:
            yield from _images(one)
