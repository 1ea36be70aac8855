"""Finding the poster that a film's page names."""

import json
import re
from collections.abc import Iterator
from typing import Any

from scrapy.http import TextResponse

# After JSON-LD: the pictures that pages name for link previews, the most used first.
MARKS = (
    'meta[property="og:image"]::attr(content)',
    'meta[name="twitter:image"]::attr(content)',
    'link[rel="image_src"]::attr(href)',
)
# Sites show their own logo, or an empty frame, where they have no poster.
GENERIC = re.compile(r"logo|no[-_]?(picture|poster|image)|placeholder|default", re.IGNORECASE)


def poster_link(response: TextResponse) -> str:
    """The absolute URL of the poster that a page names, "" for none.

    Looks in this order: JSON-LD (schema.org `image`), og:image, twitter:image, a link of the kind image_src. Skips
    what looks like the site's logo or a placeholder.

    Raises:
        ValueError: a link is no URL.
    """
    blocks = response.css('script[type="application/ld+json"]::text').getall()
    texts = [link for block in blocks for link in _json_ld_images(block)]
    texts += [link for mark in MARKS for link in response.css(mark).getall()]
    links = (response.urljoin(text.strip()) for text in texts if text.strip())
    return next((link for link in links if not GENERIC.search(link.rsplit("/", 1)[-1])), "")


def _json_ld_images(block: str) -> Iterator[str]:
    """The images in one JSON-LD block, which holds a thing, a list of things or a graph of things."""
    try:
        things = json.loads(block)
    except ValueError:
        return  # broken markup; og:image is looked at next
    things = things.get("@graph", [things]) if isinstance(things, dict) else things
    for thing in things if isinstance(things, list) else []:
        if isinstance(thing, dict):
            yield from _image_links(thing.get("image"))


def _image_links(value: Any) -> Iterator[str]:
    """The links in a schema.org image: a URL, an ImageObject, or a list of either."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _image_links(value.get("url") or value.get("contentUrl"))
    elif isinstance(value, list):
        for image in value:
            yield from _image_links(image)
