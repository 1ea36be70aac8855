"""The scrape stage against hosts that are broken, rude or worse: what each ends as, and that nothing bad is kept."""

import datetime
import gzip
import ipaddress
import json
import os
import signal
import ssl
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from postergenre import errors
from scraper.private_hosts import refusal
from stages import scrape as stage
from tests import support
from tests.factories import make_dramas, read_manifest, run_scrape, write_scrape_project
from tests.support import Response, Site, encode, make_picture

POSTER = encode(make_picture(1))


@pytest.fixture
def site() -> Iterator[Site]:
    with support.site() as made:
        yield made


def ends(folder: Path, site: Site, answers: dict[str, Any], **changes: Any) -> dict[str, tuple[str, str]]:
    """Crawl these answers; the status and reason of each path."""
    site.responses |= {f"/{name}": answer for name, answer in answers.items()}
    write_scrape_project(
        folder, [(str(n), "Drama", f"{site.url}/{name}") for n, name in enumerate(answers, 1)], **changes
    )
    done = run_scrape(folder)
    assert done.returncode == 0, done.stderr
    table = read_manifest(folder)
    return dict(zip(answers, zip(table["status"], table["reason"], strict=True), strict=True))


def gone_on(block: bytes, pause: float = 0.0) -> Callable[[], Iterator[bytes]]:
    """A body without an end."""

    def stream() -> Iterator[bytes]:
        while True:
            yield block
            time.sleep(pause)

    return stream


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header says so and whose pixels are missing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def test_bodies_that_lie_or_never_end(tmp_path: Path, site: Site) -> None:
    endless = {"Content-Length": "", "Connection": "close"}
    results = ends(
        tmp_path,
        site,
        {
            "good": Response(POSTER),
            "endless": Response(headers=endless, stream=gone_on(b"x" * 65536)),
            "drip": Response(headers={"Content-Length": "1000"}, stream=gone_on(b"x", 0.2)),
            "announced": Response(headers={"Content-Length": str(10**12)}),
            "bomb": Response(gzip.compress(bytes(50_000_000)), headers={"Content-Encoding": "gzip"}),
            "huge": Response(png_of(100_000, 100_000)),
            "pixel": Response(encode(make_picture(1, 1, 1), "PNG")),
            "longer": Response(POSTER, headers={"Content-Length": str(len(POSTER) + 10), "Connection": "close"}),
            "shorter": Response(POSTER, headers={"Content-Length": str(len(POSTER) - 10), "Connection": "close"}),
        },
        max_bytes=1_000_000,
        timeout=3,
        retries=0,
    )
    assert results.pop("good") == ("ok", "")
    assert results.pop("endless") == ("failed", "larger than scrape.max_bytes")
    assert results.pop("drip") == ("failed", "no complete answer in time")
    assert results.pop("announced") == ("failed", "larger than scrape.max_bytes")
    assert results.pop("bomb") == ("failed", "larger than scrape.max_bytes")
    assert results.pop("huge") == ("not-a-poster", "it has more than 50,000,000 pixels")
    assert results.pop("pixel") == ("not-a-poster", "it has 1 x 1 pixels, fewer than 16 on a side")
    assert results.pop("longer") == ("failed", "answer incomplete")
    assert results.pop("shorter")[0] == "not-a-poster"
    assert not results


def test_links_that_lead_inside_are_refused_wherever_they_stand(tmp_path: Path, site: Site) -> None:
    inside = {
        "literal": "http://127.0.0.2:80/",
        "metadata": "http://169.254.169.254/latest/meta-data/",
        "network": "http://10.0.0.1/a.jpg",
        "mapped": "http://[::ffff:127.0.0.1]/",
        "name": f"http://localhost:{site.url.rsplit(':')[-1]}/good",
        "short": "http://127.1/",
        "number": "http://2130706433/",
        "port": "http://127.0.0.1:80/",
        "file": "file:///etc/passwd",
    }
    site.responses |= {f"/{name}": Response(status=302, headers={"Location": link}) for name, link in inside.items()}
    site.responses["/good"] = Response(POSTER)
    links = {"good": f"{site.url}/good"} | inside | {f"to-{name}": f"{site.url}/{name}" for name in inside}
    write_scrape_project(tmp_path, [(str(n), "", link) for n, link in enumerate(links.values(), 1)], private_hosts=[])
    code = """
import gc
import logging
import sys
from pathlib import Path
from postergenre import params
from scraper import crawl, plan, wanted
from scraper.downloads import open_downloads
scrape = params.load("scrape", plan.ScrapeParams)
films = plan.Plan.read(Path("films.csv"), scrape)
with open_downloads(Path("downloads")) as downloads:
    with wanted.write(Path("wanted.sqlite"), films.wanted(downloads)) as wanted_films:
        crawl.crawl(wanted_films, downloads.file, scrape, sys.argv[1])
    # A crawl puts back what it changed in the process.
    assert (logging.getLogger("scrapy").level, gc.get_freeze_count()) == (logging.NOTSET, 0)
    for row in plan.ManifestRows(films, downloads):
        print(row.status, row.reason, sep=",")
"""
    done = support.run(sys.executable, "-c", code, site.url.removeprefix("http://"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ended = dict(zip(links, done.stdout.splitlines(), strict=True))
    assert ended.pop("good") == "ok,"
    assert ended.pop("file") == "failed,neither http nor https"
    assert ended.pop("to-file") == "failed,HTTP 302"
    assert ended["metadata"] == ended["to-metadata"] == f"refused,{refusal('never', '169.254.169.254', 80)}"
    assert ended["network"] == ended["to-network"] == f"refused,{refusal('private', '10.0.0.1', 80)}"
    assert all(end.startswith("refused,") and "a private address" in end for end in ended.values()), ended
    assert sorted(site.requests) == sorted(["/robots.txt", "/good", *(f"/{name}" for name in inside)])


def test_a_private_host_is_refused_until_it_is_listed(tmp_path: Path, site: Site) -> None:
    results = ends(tmp_path, site, {"a.jpg": Response(POSTER)}, private_hosts=[])
    entry = site.url.removeprefix("http://")
    assert results == {
        "a.jpg": ("refused", f"{entry} is a private address; if it is yours, add '{entry}' to scrape.private_hosts")
    }
    assert site.requests == []
    # A refusal without asking is not remembered.
    elsewhere = {"b.jpg": Response(status=302, headers={"Location": "http://127.0.0.1:80/"})}
    results = ends(tmp_path, site, {"a.jpg": Response(POSTER)} | elsewhere, private_hosts=[entry])
    assert results == {"a.jpg": ("ok", ""), "b.jpg": ("refused", refusal("private", "127.0.0.1", 80))}


def test_this_machine_is_asked_directly_and_others_by_the_proxy(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:9")
    localhost = site.url.replace("127.0.0.1", "localhost")
    site.responses |= {"/1.jpg": Response(POSTER), "/2.jpg": Response(encode(make_picture(2)))}
    links = [f"{site.url}/1.jpg", f"{localhost}/2.jpg", "http://films.test/3.jpg", f"{site.url}/gone.jpg"]
    write_scrape_project(tmp_path, [(str(n), "", link) for n, link in enumerate(links, 1)])
    assert run_scrape(tmp_path).returncode == 0
    table = read_manifest(tmp_path)
    assert table["status"].tolist() == ["ok", "ok", "failed", "gone"]
    assert table["reason"][2] == "robots.txt: connection refused, through the proxy http://127.0.0.1:9"

    # The proxy did not answer, so it is asked again. From the host behind it a redirect leads to this machine.
    with support.site() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//me:secret@"))
        proxy.responses["http://films.test/3.jpg"] = Response(status=302, headers={"Location": f"{site.url}/1.jpg"})
        site.requests.clear()
        done = run_scrape(tmp_path)
        assert proxy.requests == ["http://films.test/robots.txt", "http://films.test/3.jpg"]
        assert all(headers["Proxy-Authorization"] for headers in proxy.headers)
    assert site.requests == ["/robots.txt", "/1.jpg"]
    assert not [headers for headers in site.headers if headers["Proxy-Authorization"]]
    assert "1 gone, HTTP 404 (not asked again)" in done.stdout
    assert read_manifest(tmp_path)["status"].tolist() == ["ok"] * 3 + ["gone"]


def test_a_host_behind_a_bot_wall_is_left_alone(tmp_path: Path, site: Site) -> None:
    challenge = Response(status=202, headers={"x-amzn-waf-action": "challenge"})
    rows = [(str(n), "Drama", f"{site.url}/{n}.jpg") for n in range(1, 100)]
    site.responses |= {f"/{n}.jpg": challenge for n in range(100)}
    with support.site() as closed:
        closed.responses["/robots.txt"] = Response(status=503, headers={"cf-mitigated": "challenge"})
        rows += [(str(n), "Drama", f"{closed.url.replace('127.0.0.1', 'localhost')}/{n}.jpg") for n in range(100, 110)]
        write_scrape_project(tmp_path, rows)
        done = run_scrape(tmp_path)
        assert closed.requests == ["/robots.txt"]
    assert done.returncode == 1
    assert "blocked us (" in done.stderr
    assert "109 refused" in done.stdout
    assert "10 refused, robots.txt: HTTP 503, a bot wall (cf-mitigated: challenge)" in done.stdout
    assert len(site.requests) < 45


def test_robots_txt(tmp_path: Path) -> None:
    def rules(text: bytes, kind: str = "text/plain") -> Response:
        return Response(text, kind=kind)

    forbidden, fine = ("refused", "Forbidden by robots.txt"), ("ok", "")
    cases = [
        (rules(b"User-agent: *\nDisallow: /\n"), forbidden),
        (rules(b"User-agent: postergenre\nDisallow: /a\n"), forbidden),
        (rules(b"User-agent: other\nDisallow: /\n"), fine),
        (rules(b"<html>Welcome</html>", "text/html"), fine),
        (Response(status=404), fine),
        (Response(status=403), fine),
        (Response(status=500), ("failed", "robots.txt: HTTP 500")),
        (Response(status=0), ("failed", "robots.txt: connection broken off")),
    ]
    with ExitStack() as stack:
        sites = [stack.enter_context(support.site()) for _ in cases]
        for site, (robots, _) in zip(sites, cases, strict=True):
            site.responses |= {"/robots.txt": robots, "/a.jpg": Response(POSTER)}
        write_scrape_project(
            tmp_path, [(str(n), "", f"{site.url}/a.jpg") for n, site in enumerate(sites, 1)], retries=0
        )
        done = run_scrape(tmp_path)
        assert done.returncode == 0, done.stderr
    table = read_manifest(tmp_path)
    for site, (robots, end), row in zip(sites, cases, table.itertuples(), strict=True):
        assert (row.status, row.reason) == end, robots
        assert site.requests == ["/robots.txt", "/a.jpg"] if end == fine else site.requests == ["/robots.txt"], robots


def test_a_host_is_not_asked_before_the_time_that_it_names(tmp_path: Path, site: Site) -> None:
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=590)
    slow = {
        "localhost": {"/robots.txt": Response(b"User-agent: *\nCrawl-delay: 3600\n", kind="text/plain")},
        "127.1": {"/a.jpg": Response(status=429, headers={"Retry-After": "590"})},
        "127.0.1": {"/a.jpg": Response(status=429, headers={"Retry-After": format_datetime(later, usegmt=True)})},
    }
    with ExitStack() as stack:
        sites = {host: stack.enter_context(support.site()) for host in slow}
        for host, answers in slow.items():
            sites[host].responses |= {"/a.jpg": Response(POSTER)} | answers
        # The slow hosts come first. When 500 posters of a fourth one have come, none was asked a second time.
        links = [f"{made.url.replace('127.0.0.1', host)}/a.jpg" for host, made in sites.items()]
        links += [f"{site.url}/{n}.jpg" for n in range(500)]
        write_scrape_project(tmp_path, [(str(n), "", link) for n, link in enumerate(links, 1)])
        with subprocess.Popen([sys.executable, "-m", "stages.scrape"], cwd=tmp_path) as scrape:
            while len(site.requests) < 501 and scrape.poll() is None:
                time.sleep(0.05)
            scrape.kill()
        assert scrape.returncode == -signal.SIGKILL
        paths = {host: made.requests for host, made in sites.items()}
    asked_once = ["/robots.txt", "/a.jpg"]
    assert paths == {"localhost": ["/robots.txt"], "127.1": asked_once, "127.0.1": asked_once}


def test_a_host_is_asked_again_after_the_time_that_it_names(tmp_path: Path, site: Site) -> None:
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2)
    # Three names of one server, which the crawl takes for three hosts.
    hosts = {
        "127.0.0.1": {"Retry-After": "1"},
        "localhost": {"Retry-After": format_datetime(later, usegmt=True)},
        "127.1": {},
    }
    site.responses["/robots.txt"] = Response(b"User-agent: *\nCrawl-delay: 0.1\n", kind="text/plain")
    site.responses |= {f"/{host}": [Response(status=429, headers=hosts[host]), Response(POSTER)] for host in hosts}
    links = [f"{site.url.replace('127.0.0.1', host)}/{host}" for host in hosts]
    write_scrape_project(tmp_path, [(str(n), "", link) for n, link in enumerate(links, 1)], retries=0)
    assert run_scrape(tmp_path).returncode == 0
    assert read_manifest(tmp_path)["status"].tolist() == ["ok"] * 3
    assert read_manifest(tmp_path)["attempts"].tolist() == [2] * 3


def test_x_robots_tag(tmp_path: Path, site: Site) -> None:
    headers = {
        "noai": "refused",
        "noindex, noimageai": "refused",
        "postergenre: noai": "refused",
        "otherbot: noai": "ok",
        "noindex": "ok",
    }
    answers = {f"{n}.jpg": Response(POSTER, headers={"X-Robots-Tag": header}) for n, header in enumerate(headers)}
    results = ends(tmp_path, site, answers)
    assert {header: results[name][0] for name, header in zip(answers, headers, strict=True)} == headers


def test_a_host_that_asks_for_too_long_a_wait_is_left_alone_and_the_others_go_on(tmp_path: Path, site: Site) -> None:
    with support.site() as busy:
        busy.responses |= {f"/{n}.jpg": Response(status=429, headers={"Retry-After": "3600"}) for n in range(100)}
        other = busy.url.replace("127.0.0.1", "localhost")
        rows = [(str(n), "", f"{other}/{n}.jpg") for n in range(1, 90)]
        rows += [(str(n + 100), "", link) for n, (_, _, link) in enumerate(make_dramas(site, 20))]
        write_scrape_project(tmp_path, rows)
        done = run_scrape(tmp_path)
        assert done.returncode == 1
        assert (
            "localhost blocked us (HTTP 429, it asks to wait 3,600 seconds), 89 of its posters did not come"
            in done.stderr
        )
        count = len(busy.requests)
        assert count <= 33 + 1
        # Without them, the next one goes on: nothing is asked.
        assert run_scrape(tmp_path).returncode == 0
        assert len(busy.requests) == count
    assert read_manifest(tmp_path)["status"].tolist() == ["refused"] * 89 + ["ok"] * 20


def test_a_host_that_answers_403_to_everything_is_left_alone(tmp_path: Path, site: Site) -> None:
    write_scrape_project(tmp_path, [(str(n), "", f"{site.url}/{n}.jpg") for n in range(1, 200)])
    site.responses |= {f"/{n}.jpg": Response(status=403) for n in range(200)}
    done = run_scrape(tmp_path)
    assert done.returncode == 1
    assert "blocked us (HTTP 403, 20 times in a row), 199 of its posters did not come" in done.stderr
    assert 20 <= len(site.requests) - 1 < 60


def test_a_host_that_is_down_is_asked_for_robots_txt_alone(tmp_path: Path, site: Site) -> None:
    with support.site() as broken:
        broken.responses["/robots.txt"] = Response(status=0)
        addresses = ["http://127.0.0.1:9"] * 250 + [broken.url] * 250 + [site.url]
        write_scrape_project(
            tmp_path, [(str(n), "", f"{url}/{n}.jpg") for n, url in enumerate(addresses, 1)], retries=0
        )
        site.responses["/501.jpg"] = Response(POSTER)
        assert run_scrape(tmp_path).returncode == 0
        assert broken.requests == ["/robots.txt"]
    table = read_manifest(tmp_path)
    assert set(table["reason"][:250]) == {"robots.txt: connection refused"}
    assert set(table["reason"][250:500]) == {"robots.txt: connection broken off"}
    assert table["status"][500] == "ok"


def test_a_limit_of_requests_a_second_loses_nothing(tmp_path: Path, site: Site) -> None:
    seconds: dict[int, int] = {}

    def limited(seed: int) -> Callable[[], Response]:
        def answer() -> Response:
            now = int(time.monotonic())
            seconds[now] = seconds.get(now, 0) + 1
            if seconds[now] > 20:
                return Response(status=429, headers={"Retry-After": "1"})
            return Response(encode(make_picture(seed)))

        return answer

    results = ends(tmp_path, site, {f"{n}.jpg": limited(n) for n in range(1, 61)}, retries=0)
    assert set(results.values()) == {("ok", "")}


def test_cookies_are_not_sent_and_we_say_who_we_are(tmp_path: Path, site: Site) -> None:
    cookie = Response(POSTER, headers={"Set-Cookie": "id=1; Path=/"})
    more = {f"{n}.jpg": [Response(status=302, headers={"Location": "/p.jpg", "Set-Cookie": "id=2"})] for n in range(3)}
    ends(tmp_path, site, {"p.jpg": cookie} | more, contact="https://example.org/posters", placeholder_films=9)
    assert len(site.headers) > 6
    assert not [headers for headers in site.headers if headers["Cookie"]]
    assert {headers["User-Agent"] for headers in site.headers} == {"postergenre/0.1 (+https://example.org/posters)"}


def test_a_picture_that_many_films_share_is_no_poster(tmp_path: Path, site: Site) -> None:
    many = {f"many{n}.jpg": Response(POSTER) for n in range(4)}
    few = {f"few{n}.jpg": Response(encode(make_picture(2))) for n in range(3)}
    results = ends(tmp_path, site, many | few, placeholder_films=3)
    assert {results[name] for name in many} == {("not-a-poster", "4 films have this picture")}
    assert {results[name] for name in few} == {("ok", "")}


def test_a_refresh_asks_whether_posters_changed(tmp_path: Path, site: Site) -> None:
    new = Response(encode(make_picture(2)), headers={"ETag": '"2"'})
    tagged = [Response(POSTER, headers={"ETag": '"1"'}), Response(status=304)]
    dated = [Response(encode(make_picture(5)), headers={"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}), new]
    lost = [Response(encode(make_picture(3))), Response(status=404)]
    ends(tmp_path, site, {"tagged": tagged, "dated": dated, "lost": lost})
    before = read_manifest(tmp_path)
    site.headers.clear()
    site.requests.clear()
    rows = [(str(n), "Drama", f"{site.url}/{name}") for n, name in enumerate(("tagged", "dated", "lost"), 1)]
    write_scrape_project(tmp_path, rows, refresh=True)
    assert run_scrape(tmp_path).returncode == 0
    after = read_manifest(tmp_path)
    sent = dict(zip(site.requests, site.headers, strict=True))
    assert sent["/tagged"]["If-None-Match"] == '"1"'
    assert sent["/dated"]["If-Modified-Since"] == "Thu, 01 Jan 2026 00:00:00 GMT"
    assert (after["status"] == "ok").all()
    assert (after["sha256"] == before["sha256"]).tolist() == [True, False, True]


def self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now.replace(year=2099))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "site.pem"
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(secret + certificate.public_bytes(encoding))
    return file


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(POSTER)

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """The client breaks the handshake off, as it should."""

    requests: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        write_scrape_project(tmp_path, [("1", "", f"https://127.0.0.1:{server.server_port}/a.jpg")], retries=0)
        assert run_scrape(tmp_path).returncode == 0
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    table = read_manifest(tmp_path)
    assert table["status"].tolist() == ["failed"]
    assert table["reason"].tolist() == ["robots.txt: certificate not valid"]
    assert requests == []


def tmdb(site: Site, **changes: Any) -> dict[str, Any]:
    return {"source": "tmdb", "poster_width": 182, "tmdb": {"api": site.url, "images": site.url}} | changes


def test_tmdb_finds_posters_by_imdb_id(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(**results: list[dict[str, Any]]) -> Response:
        lists: dict[str, Any] = {"movie_results": [], "person_results": [], "tv_results": []} | results
        return Response(json.dumps(lists).encode(), kind="application/json")

    answers = {
        1: find(movie_results=[{"id": 862, "title": "Toy Story", "poster_path": "/a.jpg"}]),
        2: find(tv_results=[{"id": 1, "name": "A series", "poster_path": "/b.jpg"}]),
        3: find(movie_results=[{"id": 2, "title": "Without", "poster_path": None}]),
        4: find(),
        5: Response(b'{"status_code": 7, "status_message": "Invalid API key"}', status=401, kind="application/json"),
        6: Response(b"<html>Maintenance</html>", kind="text/html"),
    }
    site.responses |= {f"/3/find/tt000000{n}?external_source=imdb_id": answer for n, answer in answers.items()}
    site.responses |= {"/t/p/w185/a.jpg": Response(POSTER), "/t/p/w185/b.jpg": Response(encode(make_picture(2)))}
    site.responses["/robots.txt"] = Response(b"User-agent: *\nDisallow: /3/\n", kind="text/plain")
    monkeypatch.setenv("TMDB_READ_ACCESS_TOKEN", "secret-token")
    write_scrape_project(tmp_path, [(str(n), "", "") for n in answers], **tmdb(site))
    done = run_scrape(tmp_path)
    assert done.returncode == 0, done.stderr
    table = read_manifest(tmp_path)
    assert list(zip(table["status"], table["reason"], strict=True)) == [
        ("ok", ""),
        ("ok", ""),
        ("gone", "TMDB has no poster"),
        ("gone", "TMDB has no poster"),
        ("refused", "HTTP 401"),
        ("failed", "the answer is not TMDB's"),
    ]
    assert table["url"].tolist()[0] == f"{site.url}/t/p/w185/a.jpg"
    tokens = {path: headers["Authorization"] for path, headers in zip(site.requests, site.headers, strict=True)}
    assert {token for path, token in tokens.items() if path.startswith("/3/")} == {"Bearer secret-token"}
    assert {token for path, token in tokens.items() if path.startswith("/t/")} == {None}
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"secret-token" not in file.read_bytes(), file


@pytest.mark.parametrize(("token", "expected"), [("", "needs $TMDB_READ_ACCESS_TOKEN"), ("0" * 32, "holds an API key")])
def test_tmdb_without_its_token(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch, token: str, expected: str
) -> None:
    monkeypatch.setenv("TMDB_READ_ACCESS_TOKEN", token)
    write_scrape_project(tmp_path, [("1", "", "")], **tmdb(site))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:  # in this process: the crawl does not begin
        errors.run(stage.main)
    assert expected in str(ended.value.code)
    assert site.requests == []


def test_a_link_is_tried_before_the_next_source(tmp_path: Path, site: Site) -> None:
    site.responses |= {"/1.jpg": Response(POSTER), "/x/tt0000002.jpg": Response(encode(make_picture(2)))}
    rows = [("1", "", f"{site.url}/1.jpg"), ("2", "", f"{site.url}/gone.jpg"), ("3", "", f"{site.url}/gone.jpg")]
    write_scrape_project(tmp_path, rows, source=["poster", f"{site.url}/x/{{imdb_id}}.jpg"])
    assert run_scrape(tmp_path).returncode == 0
    table = read_manifest(tmp_path)
    assert table["status"].tolist() == ["ok", "ok", "gone"]
    assert table["asked"].tolist()[2] == f"{site.url}/x/tt0000003.jpg"
    assert "/x/tt0000001.jpg" not in site.requests


@pytest.mark.parametrize(("how", "processes"), [(signal.SIGKILL, 2), (signal.SIGTERM, 1)])
def test_a_killed_dvc_leaves_no_crawler_behind(tmp_path: Path, site: Site, how: signal.Signals, processes: int) -> None:
    write_scrape_project(tmp_path, make_dramas(site, 120), processes=processes)
    stage = {"cmd": "python -m stages.scrape", "outs": ["data/posters"]}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"scrape": stage}}))
    assert support.run("dvc", "init", "--no-scm", "-q", cwd=tmp_path).returncode == 0
    site.pause = 1.5
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    dvc = subprocess.Popen(["dvc", "repro"], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    try:
        while len(site.requests) < 10 and dvc.poll() is None:
            time.sleep(0.05)
    finally:
        dvc.send_signal(how)
        dvc.wait()
    while scrape_is_running(tmp_path):
        time.sleep(0.2)
    assert len(site.requests) < 120, "the crawl went on to its end"
    site.pause = 0.0
    write_scrape_project(tmp_path, make_dramas(site, 120))
    assert run_scrape(tmp_path).returncode == 0
    assert (read_manifest(tmp_path)["status"] == "ok").all()


def scrape_is_running(folder: Path) -> bool:
    """Whether a process whose working folder this is runs the stage or a part of it."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == folder and b"python" in (entry / "cmdline").read_bytes():
                return True
        except OSError:
            continue  # ended while we looked
    return False
