"""The scrape stage as a process, against a real site on loopback."""

import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from postergenre import errors
from scraper.downloads import open_downloads
from stages import scrape as stage
from tests import support
from tests.factories import make_dramas, read_manifest, read_scraped, run_scrape, write_scrape_project
from tests.support import Response, Site, encode, make_picture


@pytest.fixture
def site() -> Iterator[Site]:
    with support.site() as made:
        yield made


@dataclass(frozen=True)
class Whole:
    """A site, its films, and a project folder that has crawled all of them."""

    site: Site
    films: list[tuple[str, str, str]]
    folder: Path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    with support.site() as made:
        whole = Whole(made, make_dramas(made, 160), tmp_path_factory.mktemp("whole"))
        write_scrape_project(whole.folder, whole.films)
        assert run_scrape(whole.folder).returncode == 0
        yield whole


def test_every_row_ends_with_its_status_and_reason(tmp_path: Path, site: Site) -> None:
    page = Response(b"<html>Are you a robot?</html>", kind="image/jpeg")
    whole = encode(make_picture(1))
    site.responses |= {
        "/ok.jpg": Response(whole),
        "/403.jpg": Response(status=403),
        "/500.jpg": Response(status=500),
        "/once.jpg": [Response(status=503), Response(encode(make_picture(2)))],
        "/html.jpg": page,
        "/empty.jpg": Response(b""),
        "/half.jpg": Response(whole[: len(whole) // 2]),
        "/loop.jpg": Response(status=302, headers={"Location": "/loop.jpg"}),
        "/reset.jpg": Response(status=0),
        "/moved.jpg": Response(status=301, headers={"Location": "/ok.jpg"}),
        "/p%C3%B6ster%20%E2%98%83.jpg": Response(encode(make_picture(3))),
        "/robots.txt": Response(b"User-agent: *\nDisallow: /private/\n", kind="text/plain"),
    }
    links = ["ok", "404", "403", "500", "once", "html", "empty", "half", "loop", "reset", "moved", "private/1"]
    rows = [(str(n), "Drama", f"{site.url}/{name}.jpg") for n, name in enumerate(links, 1)]
    rows += [("13", "Drama", ""), ("../../x", "Drama", f"{site.url}/ok.jpg"), ("1", "Comedy", f"{site.url}/ok.jpg")]
    rows += [
        ("16", "Drama", "not a link"),
        ("17", "Drama", "file:///etc/passwd"),
        ("18", "", ""),
        ("18", "", f"{site.url}/ok.jpg"),
        ("20", "Drama", f"{site.url.replace('//', '//me:secret@')}/ok.jpg"),
        ("21", "Drama", f"{site.url}/pöster ☃.jpg"),
    ]
    write_scrape_project(tmp_path, rows)
    done = run_scrape(tmp_path)
    assert done.returncode == 0, done.stderr
    table = read_manifest(tmp_path)
    ended = list(zip(table["status"], table["reason"], strict=True))
    assert ended == [
        ("ok", ""),
        ("gone", "HTTP 404"),
        ("refused", "HTTP 403"),
        ("failed", "HTTP 500"),
        ("ok", ""),
        ("not-a-poster", "it is a web page"),
        ("not-a-poster", "it is empty"),
        ("not-a-poster", ended[7][1]),
        ("failed", "max redirections reached"),
        ("failed", "connection broken off"),
        ("ok", ""),
        ("refused", "Forbidden by robots.txt"),
        ("no-link", "the catalogue gives no link"),
        ("bad-id", "line 15: '../../x' is not an IMDb id such as 84058 or tt0084058"),
        ("duplicate", "row 1 has the film"),
        ("failed", "the link is no URL"),
        ("failed", "neither http nor https"),
        ("duplicate", "row 19 has the film"),
        ("ok", ""),
        ("failed", "the link holds a user name or password"),
        ("ok", ""),
    ]
    assert ended[7][1].startswith("it is damaged")
    assert table["row"].tolist() == list(range(1, 22))
    with tarfile.open(tmp_path / "data/posters/shard-00000.tar") as tar:
        assert tar.getnames() == ["tt0000001.jpg"]
        member = tar.extractfile("tt0000001.jpg")
        assert member is not None
        assert member.read() == whole  # as served
    assert "21 catalogue rows: " in done.stdout


def test_the_same_posters_give_the_same_bytes_also_by_several_processes(tmp_path: Path, whole: Whole) -> None:
    write_scrape_project(tmp_path, whole.films, processes=2)
    done = run_scrape(tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_scraped(tmp_path) == read_scraped(whole.folder)


def test_a_new_film_and_a_late_poster_cost_only_themselves(tmp_path: Path, site: Site) -> None:
    rows = make_dramas(site, 9)
    late = site.responses.pop("/6.jpg")
    write_scrape_project(tmp_path, rows[:8])
    assert run_scrape(tmp_path).returncode == 0
    before = read_scraped(tmp_path)
    site.responses["/6.jpg"] = late
    site.requests.clear()
    write_scrape_project(tmp_path, rows)
    assert run_scrape(tmp_path).returncode == 0
    assert [path for path in site.requests if path != "/robots.txt"] == ["/9.jpg"]
    site.requests.clear()
    write_scrape_project(tmp_path, rows, retry_failed=True)
    assert run_scrape(tmp_path).returncode == 0
    assert [path for path in site.requests if path != "/robots.txt"] == ["/6.jpg"]
    after = read_scraped(tmp_path)
    assert after["shard-00000.tar"] == before["shard-00000.tar"]
    assert after["shard-00001.tar"] != before["shard-00001.tar"]
    assert (read_manifest(tmp_path)["status"] == "ok").all()


def stored_urls(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "downloads/posters.sqlite") as store:
        return [url for (url,) in store.execute("SELECT asked FROM posters")]


def test_a_killed_crawl_goes_on_where_it_stopped(tmp_path: Path, whole: Whole) -> None:
    site = whole.site
    write_scrape_project(tmp_path, whole.films)
    stored: set[str] = set()
    for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        site.requests.clear()
        site.pause = 0.2
        try:
            process = subprocess.Popen([sys.executable, "-m", "stages.scrape"], cwd=tmp_path, stderr=subprocess.PIPE)
            while len(site.requests) < 34 and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(how)
            _, stderr = process.communicate(timeout=30)
        finally:
            site.pause = 0.0
        assert process.returncode != 0
        if how != signal.SIGKILL:
            assert b"the crawl was interrupted; what came is kept" in stderr
        assert not (tmp_path / "data/posters").exists()
        assert 34 <= len(site.requests) < 80
        assert not stored.intersection(site.requests)
        stored_now = {url.removeprefix(site.url) for url in stored_urls(tmp_path)}
        assert stored < stored_now
        stored = stored_now
    site.requests.clear()
    assert run_scrape(tmp_path).returncode == 0
    assert read_scraped(tmp_path) == read_scraped(whole.folder)
    assert sorted({*site.requests} - {"/robots.txt"}) == sorted({f"/{n}.jpg" for n in range(1, 161)} - stored)


def test_a_disk_that_fills_up_ends_the_crawl_and_costs_only_what_did_not_fit(tmp_path: Path, whole: Whole) -> None:
    write_scrape_project(tmp_path, whole.films)
    # Files end at 100 KiB, where a disk might.
    done = support.run("bash", "-c", "ulimit -f 100; exec python -m stages.scrape", cwd=tmp_path)
    assert done.returncode == 1
    assert "the crawl was stopped: posters can not be kept" in done.stderr
    assert not (tmp_path / "data/posters").exists()
    stored = {url.removeprefix(whole.site.url) for url in stored_urls(tmp_path)}
    assert 0 < len(stored) < 160
    whole.site.requests.clear()
    assert run_scrape(tmp_path).returncode == 0
    assert not stored.intersection(whole.site.requests)
    assert read_scraped(tmp_path) == read_scraped(whole.folder)


def test_a_disk_that_is_full_from_the_start_is_reported(tmp_path: Path, site: Site) -> None:
    write_scrape_project(tmp_path, make_dramas(site, 3))
    done = support.run("bash", "-c", "ulimit -f 10; exec python -m stages.scrape", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: downloads can not be written to (")
    assert not site.requests


def test_a_catalogue_that_changes_during_the_crawl_is_not_written_half_old_half_new(tmp_path: Path, site: Site) -> None:
    rows = make_dramas(site, 8)
    write_scrape_project(tmp_path, rows)
    site.pause = 0.5
    process = subprocess.Popen([sys.executable, "-m", "stages.scrape"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while not site.requests and process.poll() is None:
        time.sleep(0.01)
    support.write_catalogue(tmp_path / "films.csv", rows[:6])
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    assert stderr.endswith(
        "error: films.csv changed during the crawl; what came is kept, `dvc repro` goes on from there\n"
    )
    assert not (tmp_path / "data/posters").exists()
    site.requests.clear()
    assert run_scrape(tmp_path).returncode == 0
    assert not site.requests
    assert len(read_manifest(tmp_path)) == 6


@pytest.mark.long
def test_ten_kills_cost_no_finished_poster(tmp_path: Path, site: Site) -> None:
    rows = make_dramas(site, 2000)
    for name in ("whole", "killed"):
        write_scrape_project(tmp_path / name, rows, shard_rows=500)
    assert run_scrape(tmp_path / "whole").returncode == 0
    stored: set[str] = set()
    for _ in range(10):
        site.requests.clear()
        process = subprocess.Popen([sys.executable, "-m", "stages.scrape"], cwd=tmp_path / "killed")
        while not site.requests and process.poll() is None:
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.8))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert not stored.intersection(site.requests)
        stored = {url.removeprefix(site.url) for url in stored_urls(tmp_path / "killed")}
    assert 100 < len(stored) < 2000
    site.requests.clear()
    assert run_scrape(tmp_path / "killed").returncode == 0
    assert not stored.intersection(site.requests)
    assert read_scraped(tmp_path / "killed") == read_scraped(tmp_path / "whole")


def film_page(json_ld: object = None, og_image: str = "") -> Response:
    block = f'<script type="application/ld+json">{json.dumps(json_ld)}</script>' if json_ld else ""
    return Response(
        f'<html><head><meta property="og:image" content="{og_image}">{block}</head></html>'.encode(), kind="text/html"
    )


def test_a_film_page_leads_to_its_poster(tmp_path: Path, site: Site) -> None:
    site.add_posters(range(1, 7))
    pages = {
        "1": film_page({"@type": "Movie", "image": "/1.jpg"}, og_image="/5.jpg"),
        "2": film_page({"@graph": [{"@type": "WebSite"}, {"image": {"@type": "ImageObject", "url": "/2.jpg"}}]}),
        "3": film_page(og_image="/3.jpg"),
        "4": film_page({"image": "/static/imdb_logo.png"}, og_image="/images/no-poster.png"),
        "5": Response(b"<html><script type='application/ld+json'>{broken", kind="text/html"),
        "6": film_page(og_image="http://[half/6.jpg"),
        "7": Response(
            b'<meta name="twitter:image" content="/4.jpg"><link rel="image_src" href="/1.jpg">', kind="text/html"
        ),
        "8": Response(
            b'<meta property="og:image" content="/logo.svg"><link rel="image_src" href="/5.jpg">', kind="text/html"
        ),
        "9": film_page({"@type": "Movie", "image": ["/still.jpg", "/gone.jpg", "/6.jpg"]}),
        "10": film_page({"@type": "Movie", "image": "/still.jpg"}),
        "11": film_page({"@type": "Movie", "image": ["/broken.jpg", "/1.jpg"]}),  # the first may come another day
    }
    site.responses |= {"/still.jpg": Response(encode(make_picture(9, 160, 90))), "/broken.jpg": Response(status=500)}
    site.responses |= {f"/title/{n}/": page for n, page in pages.items()}
    site.responses |= {f"/title/{n}": Response(status=301, headers={"Location": f"/title/{n}/"}) for n in pages}
    write_scrape_project(tmp_path, [(n, "Drama", "") for n in pages], source="page", retries=0)
    file = tmp_path / "films.csv"
    file.write_text(file.read_text().replace("http://127.0.0.1:9", site.url))
    assert run_scrape(tmp_path).returncode == 0
    table = read_manifest(tmp_path)
    assert table["status"].tolist() == ["ok"] * 3 + ["not-a-poster"] * 2 + ["failed"] + ["ok"] * 3 + [
        "not-a-poster",
        "failed",
    ]
    assert table["reason"].tolist()[3:6] == ["the page shows no poster"] * 2 + ["the link is no URL"]
    assert table["reason"].tolist()[9:] == ["it is much wider than high, as stills are", "HTTP 500"]
    bytes_had = table.loc[table["status"] == "ok", "bytes"].tolist()
    assert bytes_had == [len(encode(make_picture(n))) for n in (1, 2, 3, 4, 5, 6)]


def test_the_page_is_asked_only_where_the_link_fails(tmp_path: Path, site: Site) -> None:
    site.add_posters([1, 2])
    site.responses["/title/2"] = film_page(og_image="/2.jpg")
    write_scrape_project(
        tmp_path, [("1", "", f"{site.url}/1.jpg"), ("2", "", f"{site.url}/gone.jpg")], source=["poster", "page"]
    )
    file = tmp_path / "films.csv"
    file.write_text(file.read_text().replace("http://127.0.0.1:9", site.url))
    assert run_scrape(tmp_path).returncode == 0
    assert read_manifest(tmp_path)["status"].tolist() == ["ok", "ok"]
    assert "/title/1" not in site.requests
    site.requests.clear()
    assert run_scrape(tmp_path).returncode == 0
    assert site.requests == []


def test_a_url_template_names_the_poster_by_id(tmp_path: Path, site: Site) -> None:
    site.responses["/p/tt0000007.jpg"] = Response(encode(make_picture(7)))
    write_scrape_project(tmp_path, [("7", "Drama", "")], source=f"{site.url}/p/{{imdb_id}}.jpg")
    assert run_scrape(tmp_path).returncode == 0
    assert read_manifest(tmp_path)["status"].tolist() == ["ok"]


def test_posters_come_in_the_width_that_is_asked_for_else_as_the_link_stands(tmp_path: Path, site: Site) -> None:
    small, large = ("_V1_UX182_AL_", "_V1_SX300")
    names = {1: (large, small), 2: (small,), 3: (), 4: (large,), 5: (small,)}
    for film, sizes in names.items():
        for k, size in enumerate(sizes):
            site.responses[f"/images/M/{film}.{size}.jpg"] = Response(encode(make_picture(10 * film + k)))
    for film in (4, 5):
        site.responses[f"/title/{film}"] = film_page(og_image=f"/images/M/{film}.{small}.jpg")
    rows = [(str(n), "Drama", f"{site.url}/images/M/{n}.{small}.jpg" * (n < 4)) for n in names]

    def crawl(**changes: Any) -> list[str]:
        write_scrape_project(tmp_path, rows, source=["poster", "page"], **changes)
        file = tmp_path / "films.csv"
        file.write_text(file.read_text().replace("http://127.0.0.1:9", site.url))
        site.requests.clear()
        assert run_scrape(tmp_path).returncode == 0
        return sorted(path.removeprefix("/images/M/") for path in site.requests if path != "/robots.txt")

    wide = crawl(poster_width=300)
    both = [f"{film}.{size}.jpg" for film in (2, 3, 5) for size in (large, small)]
    assert wide == sorted([f"1.{large}.jpg", f"4.{large}.jpg", *both, "/title/3", "/title/4", "/title/5"])
    table = read_manifest(tmp_path)
    assert table["status"].tolist() == ["ok", "ok", "gone", "ok", "ok"]
    came = [f"{site.url}/images/M/{film}.{size}.jpg" for film, size in ((1, large), (2, small), (4, large), (5, small))]
    assert table.loc[table["status"] == "ok", "url"].tolist() == came
    assert table["asked"].tolist()[0] == came[0]
    assert f"1.{large.replace('300', '444')}.jpg" in crawl(poster_width=444)
    assert crawl(poster_width=300) == []
    assert read_manifest(tmp_path)["sha256"].equals(table["sha256"])
    site.responses[f"/images/M/2.{large}.jpg"] = Response(encode(make_picture(99)))
    assert f"2.{large}.jpg" in crawl(poster_width=300, refresh=True)
    assert read_manifest(tmp_path)["url"].tolist()[1] == f"{site.url}/images/M/2.{large}.jpg"


def test_files_of_a_folder_need_no_host_and_other_sources_only_what_it_lacks(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add_posters([1, 2, 3])
    (tmp_path / "mine").mkdir()
    for n in (1, 2):
        (tmp_path / f"mine/tt000000{n}.jpg").write_bytes(encode(make_picture(10 + n)))
    rows = [(str(n), "Drama", f"{site.url}/{n}.jpg") for n in (1, 2, 3)]
    write_scrape_project(tmp_path, rows, source="folder:mine/{id}.jpg")
    monkeypatch.chdir(tmp_path)
    stage.main()  # in this process: no crawl begins
    table = read_manifest(tmp_path)
    assert table["status"].tolist() == ["ok", "ok", "gone"]
    assert table["url"].tolist()[:2] == ["folder:mine/tt0000001.jpg", "folder:mine/tt0000002.jpg"]
    assert site.requests == []
    before = read_scraped(tmp_path)
    stage.main()
    assert read_scraped(tmp_path) == before
    (tmp_path / "mine/tt0000002.jpg").write_bytes(encode(make_picture(7)))
    write_scrape_project(tmp_path, rows, source=["folder:mine/{id}.jpg", "poster"])
    assert run_scrape(tmp_path).returncode == 0
    assert site.requests == ["/robots.txt", "/3.jpg"]
    after = read_manifest(tmp_path)
    assert after["status"].tolist() == ["ok"] * 3
    assert (after["sha256"] == table["sha256"]).tolist() == [True, False, False]
    write_scrape_project(tmp_path, rows, source=["poster", "folder:mine/{id}.jpg"])
    assert run_scrape(tmp_path).returncode == 0
    assert site.requests[2:] == ["/robots.txt", "/1.jpg", "/2.jpg"]


def test_too_few_posters_end_the_stage_and_leave_its_output(tmp_path: Path, site: Site) -> None:
    write_scrape_project(tmp_path, make_dramas(site, 4), min_success=0.8)
    assert run_scrape(tmp_path).returncode == 0
    before = read_scraped(tmp_path)
    rows = [*make_dramas(site, 4), *((str(n), "Drama", f"{site.url}/gone{n}.jpg") for n in range(5, 9))]
    write_scrape_project(tmp_path, rows, min_success=0.8)
    done = run_scrape(tmp_path)
    assert done.returncode == 1
    assert (
        "50.0% of 8 posters came and scrape.min_success asks 80.0%; most often: gone, HTTP 404 (4 times)" in done.stderr
    )
    assert read_scraped(tmp_path) == before


@pytest.mark.parametrize(
    ("rows", "changes", "expected"),
    [
        ([("1", "Drama", "")], {}, "none of the catalogue's 1 rows has an id and a link"),
        ([("x", "Drama", "http://127.0.0.1:9/a.jpg")], {}, "could ask; 1 bad-id, first line 2: 'x' is not an IMDb id"),
        (
            [("1", "Drama", "l")],
            {"source": "imdb"},
            "'imdb' is neither poster, page, tmdb nor a template such as",
        ),
        ([("1", "Drama", "l")], {"source": "folder:mine/{id}.jpg"}, "but mine is no folder; it should hold posters"),
        ([("1", "Drama", "l")], {"source": "folder:mine"}, "'folder:mine' should have {id} or {imdb_id} in it"),
        ([("1", "Drama", "l")], {"source": "tmdb"}, "source has tmdb, so poster_width should be pixels or `original`"),
        ([("1", "Drama", "l")], {"poster_width": "w300"}, "scrape.poster_width is 'w300'; it should be pixels from 16"),
        ([("1", "Drama", "l")], {"poster_width": True}, "scrape.poster_width is True; it should be pixels from 16 to"),
        (
            [("1", "Drama", "l")],
            {"tmdb": {"api": "https://a.org", "images": "https://a.org", "poster_size": "w185"}},
            "poster_size is now scrape.poster_width, in pixels",
        ),
        ([("1", "Drama", "l")], {"concurrency": 0}, "scrape.concurrency is 0; it should be greater than or equal to 1"),
        ([("1", "Drama", "l")], {"catalogue": "gone.csv"}, "gone.csv is not a file"),
    ],
)
def test_what_cannot_be_crawled_is_reported_in_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rows: list[tuple[str, str, str]],
    changes: dict[str, Any],
    expected: str,
) -> None:
    write_scrape_project(tmp_path, rows, **changes)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:  # in this process: none of these gets as far as a crawl
        errors.run(stage.main)
    message = str(ended.value.code)
    assert message.startswith("error: ")
    assert expected in message
    assert "\n" not in message
    assert not (tmp_path / "data").exists()


def test_a_host_that_is_down_is_reported_in_one_sentence(tmp_path: Path) -> None:
    write_scrape_project(tmp_path, [("1", "Drama", "http://127.0.0.1:9/a.jpg")], min_success=0.5)
    done = run_scrape(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "most often: failed, robots.txt: connection refused" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_a_second_crawl_on_the_same_downloads_says_so_and_stops(tmp_path: Path, site: Site) -> None:
    write_scrape_project(tmp_path, make_dramas(site, 3))
    with open_downloads(tmp_path / "downloads"):
        second = run_scrape(tmp_path)
    assert second.returncode == 1
    assert second.stderr == "error: downloads/posters.sqlite is in use by another crawl; wait for it, or stop it\n"
    assert site.requests == []


def test_a_damaged_download_is_fetched_again(tmp_path: Path, whole: Whole) -> None:
    shutil.copytree(whole.folder, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "downloads/posters.sqlite"
    poster = encode(make_picture(2))
    at = file.read_bytes().find(poster[-60:])
    assert at > 0
    with file.open("r+b") as stream:
        stream.seek(at)
        stream.write(b"\0" * 8)
    whole.site.requests.clear()
    done = run_scrape(tmp_path)
    assert "1 posters in downloads/posters.sqlite were damaged; they are fetched again" in done.stdout
    assert whole.site.requests == ["/robots.txt", "/2.jpg"]
    assert read_scraped(tmp_path) == read_scraped(whole.folder)
