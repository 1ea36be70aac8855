"""Which hosts of this machine and its network may be asked, without asking any."""

from types import SimpleNamespace

import pytest
from scrapy import Request
from scrapy.resolver import dnscache
from scrapy.settings import Settings
from twisted.internet.error import DNSLookupError

from postergenre import params
from postergenre.errors import InputError
from scraper.hosts import Hosts
from scraper.middlewares import PublicOnly, Refused
from scraper.plan import ScrapeParams
from scraper.private_hosts import PrivateHosts, is_loopback, kind_of, refusal
from scraper.resolver import PRIVATE_HOSTS, PublicResolver


@pytest.mark.parametrize(
    ("kind", "hosts"),
    [
        ("public", ["example.org", "8.8.8.8", "2606:4700::1111", "posters.corp", "cafe.be", "::ffff:8.8.8.8"]),
        (
            "private",
            ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "::1", "localhost", "LOCALHOST.", "a.localhost"],
        ),
        ("private", ["10.0.0.5", "192.168.1.2", "172.16.0.1", "100.64.0.1", "0.0.0.0", "224.0.0.1", "fd00::1"]),
        ("private", ["::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::127.0.0.1"]),
        ("never", ["169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%25eth0", "fd00:ec2::254", "100.100.100.200"]),
        (
            "never",
            ["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2852039166", "0xa9fea9fe", "metadata.google.internal."],
        ),
    ],
)
def test_a_host_is_public_private_or_never_asked(kind: str, hosts: list[str]) -> None:
    assert {host: kind_of(host) for host in hosts} == dict.fromkeys(hosts, kind)


def test_a_host_is_allowed_at_its_port() -> None:
    allowed = PrivateHosts.parse(["localhost:8000", "10.0.0.5", "[::1]:8000", "127.0.0.1:80", "Posters.Corp:8000"])
    for host, port in [("localhost", 8000), ("10.0.0.5", 1), ("::1", 8000), ("127.1", 80), ("posters.corp.", 8000)]:
        assert allowed.allow(host, port)
    for host, port in [("localhost", 8001), ("10.0.0.6", 1), ("::1", 80), ("127.0.0.1", 8000), ("a.corp", 8000)]:
        assert not allowed.allow(host, port)
    assert allowed.list_host("posters.corp")
    assert not allowed.list_host("corp")


def test_loopback_is_known_by_address_and_name() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost", "127.1", "a.localhost"))
    assert not any(is_loopback(host) for host in ("10.0.0.1", "example.org", "posters.corp"))


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (text, "is not host or host:port")
        for text in ("", "http://a", "a/b", "::1", "10.0.0.0/8", "*", "a:0", "a:b", "u@a")
    ]
    + [(text, "which is never asked") for text in ("169.254.169.254:80", "[fe80::1]", "metadata.google.internal")],
)
def test_an_entry_that_is_no_host_is_refused(entry: str, fault: str) -> None:
    section = params.read()["scrape"] | {"private_hosts": [entry]}
    with pytest.raises(InputError, match=f"scrape.private_hosts: '.*{fault}"):
        params.parse("scrape", ScrapeParams, section)


def test_the_key_of_earlier_versions_names_its_successor() -> None:
    section = params.read()["scrape"] | {"allow_private_hosts": True}
    del section["private_hosts"]
    with pytest.raises(InputError) as caught:
        params.parse("scrape", ScrapeParams, section)
    assert str(caught.value) == (
        "params.yaml: scrape: allow_private_hosts is gone; private_hosts takes its place: a list of the hosts of your "
        "own that may be asked, such as ['localhost:8000'], or [] for none"
    )


def test_a_refusal_names_the_key_and_what_to_add() -> None:
    assert refusal("private", "::1", 80) == (
        "[::1]:80 is a private address; if it is yours, add '[::1]:80' to scrape.private_hosts"
    )
    assert refusal("private", "posters.corp", 8000).startswith("posters.corp:8000 has a private address; if")
    assert "scrape.private_hosts" not in refusal("never", "169.254.169.254", 80)


def test_a_name_is_asked_at_the_ports_that_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.corp:3128")
    settings = Settings({PRIVATE_HOSTS: ["posters.corp:8000", "films.corp"]})
    check = PublicOnly(SimpleNamespace(settings=settings)).process_request  # type: ignore[arg-type]
    for url in ("http://posters.corp:8000/1", "https://films.corp/1", "http://films.corp:9/", "http://example.org/"):
        check(Request(url))
    refused = {
        "http://posters.corp/1": "add 'posters.corp:80' to scrape.private_hosts",
        "https://posters.corp/1": "add 'posters.corp:443' to scrape.private_hosts",
        "http://proxy.corp:3128/": "add 'proxy.corp:3128' to scrape.private_hosts",
        "http://metadata.google.internal/": "is never asked",
    }
    for url, reason in refused.items():
        with pytest.raises(Refused, match=reason):
            check(Request(url))


@pytest.mark.parametrize(
    ("address", "listed", "kind"),
    [
        ("8.8.8.8", [], ""),
        ("10.0.0.5", [], "private"),
        ("10.0.0.5", ["10.0.0.5"], "private"),
        ("10.0.0.5", ["posters.test:8000"], ""),
        ("169.254.169.254", ["posters.test"], "never"),
    ],
)
def test_a_name_s_address_is_checked_too(
    monkeypatch: pytest.MonkeyPatch, address: str, listed: list[str], kind: str
) -> None:
    monkeypatch.setitem(dnscache, "posters.test", address)  # as if the name had been resolved just now
    hosts = Hosts(0.0)
    process = SimpleNamespace(settings=Settings({PRIVATE_HOSTS: listed}), hosts=hosts)
    results: list[object] = []
    PublicResolver.from_crawler(process, None).getHostByName("posters.test").addBoth(results.append)
    if kind:
        assert results[0].check(DNSLookupError)  # type: ignore[attr-defined]
        assert hosts["posters.test"].address_kind == kind
    else:
        assert results == [address]
