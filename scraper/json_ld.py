"""JSON-LD as it is found in pages: the things in its blocks, and the pictures of films among them."""

import html
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

Thing = dict[str, Any]

# Types of schema.org whose things are films.
FILMS = {"movie", "movieseries", "tvseries", "tvminiseries", "tvseason", "tvepisode", "tvmovie", "episode", "film"}
# Types that may stand for a film where no thing has one of `FILMS`.
WORKS = {"creativework", "creativeworkseries"}
# Types of things that show what a page is about, for pages without any of these and without a preview's picture.
OTHERS = {"", "product", "webpage", "itempage", "article", "newsarticle", "blogposting"}
# Keys that lead from a page, a review or a showing to the thing that it is about.
ABOUT = ("@graph", "mainEntity", "mainEntityOfPage", "about", "itemReviewed", "workPresented")
# What a page may hold inside or around JSON. Strings come first, so that nothing in them is taken for a mark.
# What is not closed goes on to the end: a page that opens many comments must not be searched once for each.
STRING = r'"(?:\\.|[^"\\])*(?:"|\Z)'
MARKS = re.compile(
    rf"{STRING}|(?://\s*)?(?:<!\[CDATA\[|\]\]>|<!--|-->)|/\*.*?(?:\*/|\Z)|//[^\n]*",
    re.DOTALL,
)
COMMA_TOO_MANY = re.compile(rf"({STRING})|,(?=\s*[,}}\]])", re.DOTALL)
ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
BETWEEN = re.compile(r"[\ufeff\s;,]*")
# Only with its semicolon: `?a=1&copy=2` holds no entity.
ENTITY = re.compile(r"&(?:amp|quot|apos|lt|gt|nbsp|#\d+|#[xX][0-9a-fA-F]+);")


def unescape(text: str) -> str:
    """Replace HTML's entities."""
    return ENTITY.sub(lambda entity: html.unescape(entity.group()), text)


def read(block: str) -> list[Any]:
    """The values in a block; empty where it can not be read.

    Reads what browsers and search engines pass over: CDATA, comments, commas too many, escaped quotes, line breaks in
    strings, and several values one after another.
    """
    for text in (block, unescape(block)):
        values = _values(_clean(text))
        if values:
            return values
    return []


def _clean(text: str) -> str:
    return COMMA_TOO_MANY.sub(lambda match: match.group(1) or "", MARKS.sub(_keep_string, text))


def _keep_string(mark: re.Match[str]) -> str:
    return ESCAPE.sub(_mend_escape, mark.group()) if mark.group().startswith('"') else " "


def _mend_escape(escape: re.Match[str]) -> str:
    r"""JavaScript knows escapes that JSON does not, such as `\'`."""
    letter = escape.group(1)
    return escape.group() if len(letter) > 1 or letter in '"\\/bfnrt' else letter


def _values(text: str) -> list[Any]:
    decoder, values, end = json.JSONDecoder(strict=False), [], 0
    while (end := _skip(text, end)) < len(text):
        try:
            value, end = decoder.raw_decode(text, end)
        except (ValueError, RecursionError):
            return []
        values.append(value)
    return values


def _skip(text: str, at: int) -> int:
    between = BETWEEN.match(text, at)
    return between.end() if between else at


def things(values: Sequence[Any]) -> Iterator[Thing]:
    """The things that the values are about, in their order. Lists of other films (ItemList) are not followed."""
    for value in values:
        if isinstance(value, list):
            yield from things(value)
        elif isinstance(value, dict):
            yield value
            yield from things([value[key] for key in ABOUT if isinstance(value.get(key), (dict, list))])


def types(thing: Thing) -> set[str]:
    """The names of a thing's types in small letters, without schema.org's address; {""} for a thing without one."""
    names = thing.get("@type") or ""
    texts = names if isinstance(names, list) else [names]
    return {re.split(r"[/#:]", name)[-1].lower() for name in texts if isinstance(name, str)}


def images(thing: Thing, known: Sequence[Thing]) -> list[str]:
    """The links in a thing's `image`: a URL, an ImageObject, the `@id` of one, or a list of these.

    known: all things, among which an `@id` is looked up.
    """
    objects = {item["@id"]: item for item in known if isinstance(item.get("@id"), str) and _links(item)}
    return [unescape(link).strip() for link in _image_links(thing.get("image"), objects)]


def _image_links(value: Any, objects: dict[str, Thing]) -> Iterator[str]:
    if isinstance(value, str):
        yield from _links(objects[value]) if value in objects else [value]
    elif isinstance(value, list):
        for image in value:
            yield from _image_links(image, objects)
    elif isinstance(value, dict):
        name = value.get("@id")
        links = _links(value) or (_links(objects[name]) if isinstance(name, str) and name in objects else [])
        yield from links or ([name] if isinstance(name, str) and re.match("https?://[^#]+$", name) else [])


def _links(image: Thing) -> list[str]:
    """An ImageObject's links: contentUrl is the picture itself, url may be a page about it."""
    values = [image.get(key) for key in ("contentUrl", "url")]
    texts = [text for value in values for text in (value if isinstance(value, list) else [value])]
    return [text for text in texts if isinstance(text, str) and text]
