"""Bot walls: answers that are no page and no picture, but a challenge to robots."""

import re

from scrapy.http import Response, TextResponse

# Headers by which walls tell what they did, with the words that mean a challenge or a block: AWS WAF, Cloudflare,
# SiteGround, Vercel, DataDome.
HEADERS = {
    "x-amzn-waf-action": ("challenge", "captcha"),
    "cf-mitigated": ("challenge", "block"),
    "sg-captcha": ("challenge",),
    "x-vercel-mitigated": ("challenge", "deny"),
    "x-datadome": ("protected",),
}
# What pages hold that are nothing but a challenge and come with HTTP 200: Imperva, DataDome, AWS WAF, HUMAN, Anubis.
MARKS = re.compile(
    rb"/_Incapsula_Resource\?|geo\.captcha-delivery\.com|AwsWafIntegration|id=[\"']px-captcha|id=[\"']anubis_challenge"
)
# A page of a film is longer than a challenge, and may hold such a mark too.
LONGEST = 20_000


def wall_of(response: Response) -> str:
    """What shows that an answer is a bot wall, in a few words; "" for any other answer."""
    for name, words in HEADERS.items():
        value = (response.headers.get(name) or b"").decode("latin-1").strip()
        # Sites behind a wall may carry its header on good answers too.
        if value.lower() in words and (response.status != 200 or not response.body):
            return f"HTTP {response.status}, a bot wall ({name}: {value})"
    if response.status == 202:  # accepted, to be done later: what robots get in a page's or a picture's place
        return "HTTP 202, a bot wall"
    if isinstance(response, TextResponse) and len(response.body) < LONGEST and (mark := MARKS.search(response.body)):
        return f"HTTP {response.status}, a bot wall ({mark.group().decode()})"
    return ""
