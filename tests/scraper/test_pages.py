"""Which pictures a film's page leads to."""

import json

import pytest
from scrapy.http import HtmlResponse

from scraper.pages import is_stand_in, is_still, poster_links

URL = "http://films.test/title/1"


def links_of(head: str) -> list[str]:
    page = HtmlResponse(URL, body=f"<html><head>{head}</head><body></body></html>".encode())
    return [link.removeprefix("http://films.test") for link in poster_links(page)]


def script(block: str, kind: str = "application/ld+json") -> str:
    return f'<script type="{kind}">{block}</script>'


def blocks(*things: object) -> str:
    return "".join(script(json.dumps(thing)) for thing in things)


OG = '<meta property="og:image" content="/og.jpg">'
SITE = {"@type": "Organization", "image": "/site.jpg"}
ACTOR = {"@type": "Person", "image": "/actor.jpg"}
FILM = {"@type": "Movie", "name": "Heat", "image": "/film.jpg"}


@pytest.mark.parametrize(
    "head",
    [
        blocks(SITE, ACTOR, FILM),
        blocks([ACTOR, FILM]),
        blocks({"@graph": [SITE, {"@type": "WebPage", "image": "/page.jpg"}, FILM]}),
        blocks(FILM | {"@type": ["Product", "Movie"]}, ACTOR),
        blocks(SITE, FILM | {"@type": "http://schema.org/TVSeries"}),
        blocks(FILM | {"@type": "TVEpisode", "actor": ACTOR}),
        blocks({"@type": "CreativeWork", "image": "/work.jpg"}, FILM),
        blocks(SITE, {"@type": "CreativeWork", "image": "/film.jpg"}),
        blocks({"@type": "Review", "image": "/review.jpg", "itemReviewed": FILM}),
        script("<!--\n" + json.dumps(FILM) + "\n-->"),
        script("//<![CDATA[\n" + json.dumps(FILM) + "\n//]]>"),
        script("/* <![CDATA[ */" + json.dumps(FILM) + ";/* ]]> */"),
        script('{"@type": "Movie", "genre": ["Drama", "Crime",], "image": "/film.jpg",}'),
        script('{"@type": "Movie", // the film\n "name": "a // <!-- b ,] /* c", "image": "/film.jpg"}'),
        script('{"@type": "Movie", "name": "It\\\'s\na film \\\\", "image": "\\/film.jpg"}'),
        script(json.dumps(FILM).replace('"', "&quot;")),
        script(json.dumps(SITE) + json.dumps(FILM)),
        script("\ufeff" + json.dumps(FILM), "Application/LD+JSON; charset=utf-8"),
    ],
)
def test_the_film_s_picture_comes_first_however_it_is_written(head: str) -> None:
    assert links_of(OG + head)[:2] == ["/film.jpg", "/og.jpg"]


@pytest.mark.parametrize(
    ("image", "links"),
    [
        ("/a.jpg", ["/a.jpg"]),
        (["/a.jpg", "/b.jpg", "/a.jpg"], ["/a.jpg", "/b.jpg"]),
        ({"@type": "ImageObject", "url": "b.jpg"}, ["/title/b.jpg"]),
        ([{"contentUrl": "/a.jpg", "url": ["/b.jpg"]}], ["/a.jpg", "/b.jpg"]),
        ("//pictures.test/a.jpg", ["http://pictures.test/a.jpg"]),
        ("/a.jpg?w=1&amp;h=2&copy=3", ["/a.jpg?w=1&h=2&copy=3"]),
        (["data:image/gif;base64,R0", "http://[half", "/a.jpg"], ["/a.jpg"]),
        ("http://[half", ["http://[half"]),
        ([None, 3, {}, [], ""], []),
        ([f"/{n}.jpg" for n in range(100)], [f"/{n}.jpg" for n in range(6)]),
    ],
)
def test_a_picture_is_a_link_an_object_or_a_list(image: object, links: list[str]) -> None:
    assert links_of(blocks({"@type": "Movie", "image": image})) == links


def test_a_picture_may_stand_elsewhere_in_the_graph() -> None:
    graph = [
        {"@type": "Movie", "image": {"@id": "#poster"}},
        {"@type": "ImageObject", "@id": "#poster", "url": "/a.jpg"},
    ]
    assert links_of(blocks({"@graph": graph})) == ["/a.jpg"]


def test_of_several_films_it_is_the_page_s() -> None:
    other = {"@type": "Movie", "name": "Ronin", "url": "/title/2", "image": "/ronin.jpg"}
    assert links_of(blocks(other, FILM | {"url": "/title/1/"})) == ["/film.jpg"]
    assert links_of(blocks(other, FILM) + "<title>Heat (1995)</title>") == ["/film.jpg"]
    assert links_of(blocks(other, FILM)) == ["/ronin.jpg"]
    # The page's film has no picture: that of another film is none of its posters.
    assert links_of(blocks(other, {"@type": "Movie", "url": URL}) + OG) == ["/og.jpg"]
    see_next = {"@type": "ItemList", "itemListElement": [{"@type": "ListItem", "item": other}]}
    assert links_of(blocks(see_next, FILM)) == ["/film.jpg"]


@pytest.mark.parametrize(
    "block", ["{broken", '{"a":' * 100_000, "[" * 100_000, "/*" * 100_000, '"' * 99_999, "1 " * 100_000, "null", ""]
)
def test_a_block_that_can_not_be_read_is_passed_over(block: str) -> None:
    assert links_of(script(block) + OG) == ["/og.jpg"]


def test_the_pictures_of_organizations_and_persons_are_left_out() -> None:
    assert links_of(blocks(SITE, ACTOR)) == []
    assert links_of(blocks(SITE, {"image": "/a.jpg"}) + OG) == ["/og.jpg", "/a.jpg"]


@pytest.mark.parametrize(
    "name",
    [
        "Casino_poster",
        "Dr._No_poster",
        "Gran%20Torino_poster",
        "Logorama",
        "Default_2014",
        "Catalogo",
        "Placeholder_2009",
        "No",
        "nothing",
        "No_Country_for_Old_Men_poster",
        "Blank_Check",
        "Logopolis-1981",
        "techno_poster",
        "The_Missing",
        "The_Missing_poster",
        "Missing",
        "images",
        "poster",
        "1",
        "W._poster",
        "not-without-my-daughter",
    ],
)
def test_a_film_s_name_is_no_stand_in(name: str) -> None:
    assert not is_stand_in(f"http://a.test/logo/default/{name}.jpg?default=logo")


@pytest.mark.parametrize(
    "name",
    [
        "logo",
        "LOGO",
        "films-logo",
        "films_fb_logo",
        "site-logo-2023",
        "default",
        "default_poster",
        "default-300x450",
        "no-poster",
        "no_image",
        "nopicture",
        "noposter_w300",
        "no%20photo",
        "placeholder",
        "movie-placeholder",
        "poster_not_available",
        "missing-poster",
        "image-not-found",
        "no-poster-large",
    ],
)
def test_a_stand_in_is_known_by_its_name(name: str) -> None:
    assert is_stand_in(f"http://a.test/{name}.png", ["films"])


def test_a_film_may_have_a_stand_in_s_name() -> None:
    head = '<meta property="og:image" content="/no_poster.jpg">'
    assert links_of(head) == []
    assert links_of(head + "<title>No (2012)</title>") == ["/no_poster.jpg"]


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1200, 630), (600, 400)])
def test_a_still_is_much_wider_than_high(width: int, height: int) -> None:
    assert is_still(width, height)


@pytest.mark.parametrize(("width", "height"), [(300, 444), (182, 268), (500, 500), (400, 300), (1000, 750)])
def test_square_posters_and_those_of_40_x_30_inches_are_no_stills(width: int, height: int) -> None:
    assert not is_still(width, height)
