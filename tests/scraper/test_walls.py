"""Which answers are bot walls."""

import pytest
from scrapy.http import HtmlResponse, Response

from scraper.hosts import WALLS, Host
from scraper.walls import wall_of

URL = "http://a.test/1"


@pytest.mark.parametrize(
    ("status", "headers", "wall"),
    [
        (202, {}, "HTTP 202, a bot wall"),
        (202, {"x-amzn-waf-action": "challenge"}, "HTTP 202, a bot wall (x-amzn-waf-action: challenge)"),
        (405, {"x-amzn-waf-action": "captcha"}, "HTTP 405, a bot wall (x-amzn-waf-action: captcha)"),
        (403, {"CF-Mitigated": "challenge"}, "HTTP 403, a bot wall (cf-mitigated: challenge)"),
        (503, {"cf-mitigated": "challenge", "Retry-After": "9"}, "HTTP 503, a bot wall (cf-mitigated: challenge)"),
        (200, {"sg-captcha": "challenge"}, "HTTP 200, a bot wall (sg-captcha: challenge)"),
        (200, {"x-amzn-waf-action": "count"}, ""),
        (403, {}, ""),
        (503, {"Server": "cloudflare"}, ""),
        (404, {}, ""),
    ],
)
def test_a_bot_wall_is_known_by_its_headers(status: int, headers: dict[str, str], wall: str) -> None:
    assert wall_of(Response(URL, status=status, headers=headers)) == wall


def test_a_bot_wall_is_known_by_its_page() -> None:
    page = b"<html><script src='/_Incapsula_Resource?SWJIYLWA=1'></script></html>"
    assert wall_of(HtmlResponse(URL, body=page)) == "HTTP 200, a bot wall (/_Incapsula_Resource?)"
    assert wall_of(HtmlResponse(URL, body=page + b"a film's page " * 2000)) == ""
    assert wall_of(HtmlResponse(URL, body=b"<html>a short page</html>", headers={"cf-mitigated": "challenge"})) == ""
    assert wall_of(Response(URL, body=b"\xff\xd8 a picture", headers={"x-datadome": "protected"})) == ""


def test_a_host_that_challenges_again_and_again_is_left_alone() -> None:
    host = Host(0.0)
    for _ in range(WALLS - 1):
        host.note_wall("HTTP 202, a bot wall")
    host.note_answer()
    for _ in range(WALLS - 1):
        host.note_wall("HTTP 202, a bot wall")
    assert not host.closed
    host.note_wall("HTTP 202, a bot wall")
    assert host.closed == ("refused", "HTTP 202, a bot wall, 6 times in a row", True)
