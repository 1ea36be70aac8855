"""The embedded sample: its catalogue, its posters, and the site that serves them."""

import hashlib
import http.client
import io
import json
import os
import random
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageChops

from postergenre.errors import InputError
from sample import catalogue, films, lettering, poster, sheet, site
from sample.backdrops import BACKDROPS
from sample.canvas import HEIGHT, MARGIN, SCALE, WIDTH
from sample.films import Film
from sample.layouts import LAYOUTS
from sample.lettering import FACES
from sample.motifs import MOTIFS
from sample.palettes import PALETTES, contrast
from tests.support import ROOT, find_free_port

CATALOGUE = ROOT / films.CATALOGUE
ALL = films.read(CATALOGUE)
SHOWN = [film for film in ALL.values() if film.poster and not film.is_gone]


def table() -> pd.DataFrame:
    return pd.read_csv(CATALOGUE, encoding="iso-8859-1", dtype=str, keep_default_na=False)


# The catalogue


def test_the_committed_catalogue_is_what_the_generator_writes(tmp_path: Path) -> None:
    catalogue.write(tmp_path / "made.csv")
    assert (tmp_path / "made.csv").read_bytes() == CATALOGUE.read_bytes()


def test_the_catalogue_is_in_the_published_format() -> None:
    rows = table()
    assert list(rows) == ["imdbId", "Imdb Link", "Title", "IMDB Score", "Genre", "Poster"]
    assert rows["imdbId"].str.fullmatch(r"99\d{6}").all()
    assert (rows["Imdb Link"] == "http://127.0.0.1:8742/title/tt" + rows["imdbId"]).all()
    assert rows["Title"].str.fullmatch(r".+ \(\d{4}\)").all()
    assert rows["Title"].str.contains("[é-ü]").any(), "no accented letter that would show a wrong encoding"
    link = r"http://127\.0\.0\.1:8742/images/M/tt99\d{6}\._V\d+_UX182_CR0,0,182,268_AL_\.jpg"
    assert rows["Poster"][rows["Poster"] != ""].str.fullmatch(link).all()
    rows.to_csv(again := io.StringIO(), index=False)
    assert again.getvalue().encode("iso-8859-1") == CATALOGUE.read_bytes(), "not as pandas writes it"


def test_the_catalogue_has_the_dirt_that_it_says() -> None:
    rows, once = table(), table().drop_duplicates()
    assert (len(rows) - len(once), once["imdbId"].is_unique) == (catalogue.REPEATED_ROWS, True)
    assert (once["Genre"] == "").sum() == catalogue.WITHOUT_GENRE
    assert (once["Genre"] == "N/A").sum() == catalogue.NOT_AVAILABLE
    assert (once["Poster"] == "").sum() == catalogue.WITHOUT_LINK
    assert sum(film.is_gone for film in ALL.values()) == catalogue.GONE
    originals = [film.original for film in ALL.values() if film.original]
    assert len(originals) == catalogue.RE_RELEASED
    assert all(ALL[original.imdb_id].title == original.title for original in originals)


def test_every_genre_but_one_has_films_enough_to_be_learned() -> None:
    counts = Counter(genre for film in ALL.values() for genre in film.genres if genre != "N/A")
    assert sorted(counts) == sorted(films.GENRES)
    assert [genre for genre, count in counts.items() if count < 60] == ["Western"]


# The posters


def test_a_poster_is_the_same_bytes_in_every_process() -> None:
    some = SHOWN[::300]
    code = (
        "import hashlib, random; from pathlib import Path; from sample import films, poster\n"
        f"random.seed(7); known = films.read(Path({str(CATALOGUE)!r}))\n"
        f"for name in {[film.imdb_id for film in some]}: print(hashlib.sha256(poster.jpeg(known[name])).hexdigest())"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    random.seed(8)
    np.random.default_rng(9)
    here = [hashlib.sha256(poster.jpeg(film)).hexdigest() for film in some]
    assert ran.stdout.split() == here


# SHA-256 of the posters that `test_a_changed_drawing_gets_new_links` draws.
DRAWN = "d315d55325c4e80c68f8bc53f24c62dc15cda2904d76142764822ce7d646e306"


def test_a_changed_drawing_gets_new_links() -> None:
    parts: set[object] = set()
    digest = hashlib.sha256(poster.jpeg(Film("tt99200000", f"A Film{films.SUFFIX} (2000)", ("Drama",))))
    for n in range(500):
        film = Film(f"tt{films.BASE + n}", f"A Film of Number {n} (2000)", (films.GENRES[n % len(films.GENRES)],))
        made = poster.design(film, poster.rng_for(film))
        if not parts.issuperset(own := {made.motif, made.palette, made.face, made.backdrop, made.layout}):
            digest.update(poster.jpeg(film))
        parts |= own
    every = [part for chosen in (*MOTIFS.values(), *PALETTES.values()) for part in chosen]
    assert parts == {*every, *FACES.values(), *BACKDROPS.values(), *LAYOUTS.values()}, "a part is not drawn here"
    assert digest.hexdigest() == DRAWN, (
        "the drawing changed; raise DRAWING in sample/films.py, write the catalogue anew (`python -m sample.catalogue`)"
        " and put the new digest here"
    )


def test_a_poster_has_the_size_of_public_thumbnails() -> None:
    image = Image.open(io.BytesIO(poster.jpeg(SHOWN[0])))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (182, 268))


def test_a_re_release_shows_almost_the_poster_of_its_original() -> None:
    for film in ALL.values():
        if film.original:
            new, old = poster.jpeg(film), poster.jpeg(film.original)
            assert new != old
            hashes = [imagehash.phash(Image.open(io.BytesIO(bytes_))) for bytes_ in (new, old)]
            assert hashes[0] - hashes[1] <= 4, film


def test_parts_follow_the_genres_only_in_part() -> None:
    designs = [(film, poster.design(film, poster.rng_for(film))) for film in SHOWN if film.genres and not film.original]
    own_motif = np.mean([any(made.motif in MOTIFS.get(g, ()) for g in film.genres) for film, made in designs])
    own_palette = np.mean([any(made.palette in PALETTES.get(g, ()) for g in film.genres) for film, made in designs])
    # What chance adds to the shares: a film's two genres are two of fourteen.
    assert poster.MOTIF_SHARE < own_motif < poster.MOTIF_SHARE + 0.08
    assert poster.PALETTE_SHARE < own_palette < poster.PALETTE_SHARE + 0.06
    strangers = {
        made.motif for film, made in designs for genre in film.genres if made.motif not in MOTIFS.get(genre, ())
    }
    assert strangers == {motif for motifs in MOTIFS.values() for motif in motifs}, "a motif betrays its genre"


def test_every_genre_has_its_parts() -> None:
    assert sorted(MOTIFS) == sorted(PALETTES) == sorted(poster.HABITS) == sorted(films.GENRES)
    used = [set().union(*(habits[i] for habits in poster.HABITS.values())) for i in range(3)]
    assert used == [set(FACES), set(LAYOUTS), set(BACKDROPS)]


def test_palettes_keep_figures_and_letters_clear() -> None:
    for palette in [palette for palettes in PALETTES.values() for palette in palettes]:
        assert contrast(palette.figure, palette.ground) > 3, palette
        assert contrast(palette.figure, palette.shade) > 2.5, palette
        assert min(contrast(palette.ink, ground) for ground in (palette.ground, palette.shade)) >= 4.5, palette
        for filling in (palette.figure, palette.spark):
            assert contrast(palette.legible_on(filling), filling) > 3.5, palette


@pytest.mark.parametrize("layout", LAYOUTS)
def test_letters_stay_within_the_margins_and_off_each_other(layout: str) -> None:
    longest = sorted(SHOWN, key=lambda film: len(film.name))[-2:]
    for film, face in product(longest, FACES.values()):
        made = poster.design(film, poster.rng_for(film))
        canvas = poster.paint(replace(made, face=face, layout=LAYOUTS[layout]), poster.rng_for(film))
        for setting in canvas.settings:
            left, top, right, bottom = setting.box
            assert left >= MARGIN - 0.01
            assert right <= WIDTH - MARGIN + 0.01
            assert top >= 5
            assert bottom <= HEIGHT - 5
        for one, other in combinations(canvas.settings, 2):
            assert one.box[3] <= other.box[1] or other.box[3] <= one.box[1], f"{one} overlaps {other}"
        assert max(setting.size for setting in canvas.settings) > 11, f"{film.name} is too small to read"


@pytest.mark.parametrize("largest", [5.6, 40])
@pytest.mark.parametrize("face", [*FACES.values(), lettering.SMALL, lettering.BILLING, lettering.TAGLINE])
def test_letters_are_drawn_in_the_box_that_was_measured(face: lettering.Face, largest: float) -> None:
    image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE))
    setting = lettering.fit("Émile's Quest for Åjy in Tromsø 1999", face, (10, 30, 172, 110), largest=largest)
    lettering.draw(image, setting, (255, 255, 255), SCALE)
    drawn = image.getbbox()
    assert drawn
    # Two canvas pixels of rounding, and slanted letters that lean over their advance.
    slack = 2 + 0.12 * setting.size * SCALE
    for side, measured in zip(drawn, setting.box, strict=True):
        assert abs(side - measured * SCALE) <= slack


def test_no_letter_is_missing_from_its_face() -> None:
    texts = {letter for film in ALL.values() for letter in film.name if not letter.isspace()}
    for face in FACES.values():
        box = (0.0, 0.0, 60.0, 60.0)
        unknown = glyph("\uffff", lettering.fit("é", face, box).face)
        for letter in texts:
            setting = lettering.fit(letter, face, box)
            if setting.face.file is None:
                unknown = glyph("\uffff", setting.face)
            assert ImageChops.difference(glyph(letter, setting.face), unknown).getbbox(), f"{letter} in {face}"


def glyph(letter: str, face: lettering.Face) -> Image.Image:
    image = Image.new("RGB", (120, 120))
    setting = lettering.Setting(face, 60, (face.cased(letter),), "left", (20, 20, 80, 80))
    lettering.draw(image, setting, (255, 255, 255), 1)
    return image


def test_the_sheet_is_a_small_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["sheet", str(tmp_path / "sheet.png"), "--films", "20"])
    monkeypatch.chdir(ROOT)
    sheet.main()
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size == (1299, 381)
    assert (tmp_path / "sheet.png").stat().st_size < 300_000
    with pytest.raises(InputError, match="--films is 0"):
        sheet.choose(CATALOGUE, 0)


# The site


def is_served(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def connection() -> Iterator[http.client.HTTPConnection]:
    port = find_free_port()
    with site.serve(CATALOGUE, port) as url:
        assert url == f"http://127.0.0.1:{port}"
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as made:
            yield made


def ask(
    connection: http.client.HTTPConnection, path: str, headers: dict[str, str] | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    connection.request("GET", path, headers=headers or {})
    answer = connection.getresponse()
    return answer, answer.read()


def path_of(film: Film) -> str:
    return films.poster_link(film.number).removeprefix("http://127.0.0.1:8742")


def test_the_site_redirects_a_title_to_its_page(connection: http.client.HTTPConnection) -> None:
    film = SHOWN[0]
    answer, _ = ask(connection, f"/title/{film.imdb_id}")
    assert (answer.status, answer.headers["Location"]) == (301, f"/title/{film.imdb_id}/")
    answer, body = ask(connection, f"/title/{film.imdb_id}/")
    assert answer.status == 200
    page = body.decode()
    movie = json.loads(re.search(r'<script type="application/ld\+json">(.*?)</script>', page)[1])  # type: ignore[index]
    image = f"http://127.0.0.1:{connection.port}{path_of(film)}"
    assert (movie["@type"], movie["name"], movie["image"]) == ("Movie", film.title, image)
    assert movie["genre"] == list(film.genres)
    assert f'property="og:image" content="{image}"' in page


def test_the_page_of_a_film_without_poster_shows_a_logo(connection: http.client.HTTPConnection) -> None:
    film = next(film for film in ALL.values() if not film.poster)
    _, body = ask(connection, f"/title/{film.imdb_id}/")
    assert b'"image"' not in body
    logo = re.search(rb'property="og:image" content="http://127.0.0.1:\d+(/images/[^"]*logo\.png)"', body)
    assert logo
    answer, picture = ask(connection, logo[1].decode())
    assert answer.status == 200
    assert Image.open(io.BytesIO(picture)).format == "PNG"


def test_the_site_serves_posters_and_knows_those_that_a_client_has(connection: http.client.HTTPConnection) -> None:
    film = SHOWN[1]
    answer, body = ask(connection, path_of(film))
    assert (answer.status, answer.headers["Content-Type"], body) == (200, "image/jpeg", poster.jpeg(film))
    tag, date = answer.headers["ETag"], answer.headers["Last-Modified"]
    assert ask(connection, path_of(film), {"If-None-Match": tag})[0].status == 304
    assert ask(connection, path_of(film), {"If-Modified-Since": date})[0].status == 304
    assert ask(connection, path_of(film), {"If-None-Match": '"other"', "If-Modified-Since": date})[0].status == 200
    assert ask(connection, path_of(film).replace(",", "%2C"))[1] == body


def test_the_site_answers_404_for_what_it_has_not(connection: http.client.HTTPConnection) -> None:
    gone = next(film for film in ALL.values() if film.is_gone)
    unlinked = next(film for film in ALL.values() if not film.poster)
    other_drawing = path_of(SHOWN[0]).replace(f"_V{films.DRAWING}_", f"_V{films.DRAWING + 1}_")
    for path in (path_of(gone), path_of(unlinked), other_drawing, "/title/tt0084058/", "/private/", "/"):
        assert ask(connection, path)[0].status == 404, path


def test_the_site_lets_crawlers_in(connection: http.client.HTTPConnection) -> None:
    answer, body = ask(connection, "/robots.txt")
    assert answer.status == 200
    assert {"Allow: /title/", "Allow: /images/", "Disallow: /private/"} <= set(body.decode().splitlines())


def test_the_port_is_free_again_also_after_an_exception() -> None:
    port = find_free_port()
    with site.serve(CATALOGUE, port):
        assert is_served(port)
    assert not is_served(port)
    with pytest.raises(ZeroDivisionError), site.serve(CATALOGUE, port):
        raise ZeroDivisionError
    assert not is_served(port)


def test_the_site_ends_when_its_parent_is_killed() -> None:
    port = find_free_port()
    code = (
        "import time; from pathlib import Path; from sample import site\n"
        f"with site.serve(Path({str(CATALOGUE)!r}), {port}): print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"up\n"
        assert is_served(port)
        parent.kill()
        assert parent.stderr
        assert parent.stderr.read() == b""  # it ends with the last process of the site, which shares it
    assert not is_served(port)


def test_a_busy_port_is_waited_for_and_then_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port}"), site.serve(CATALOGUE, port):
            pass


def test_a_catalogue_that_can_not_be_served_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none.csv"
    with pytest.raises(InputError, match=re.escape(str(missing))), site.serve(missing, find_free_port()):
        pass
    assert str(missing) in capfd.readouterr().err


def test_the_door_opens_for_a_crawl_of_the_sample_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    (tmp_path / "films.csv").write_bytes(CATALOGUE.read_bytes())
    for other, needed in ((tmp_path / "films.csv", True), (CATALOGUE, False)):
        with site.serving(other, needed) as own_site:
            assert own_site == ""
    code = "import sys; from sample import site; print('matplotlib' in sys.modules, 'sample.poster' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_site_can_be_served_by_hand() -> None:
    port = find_free_port()
    command = [sys.executable, "-m", "sample.server", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=os.environ) as served:
        assert served.stdout
        assert f"http://127.0.0.1:{port}" in served.stdout.readline().decode()
        assert is_served(port)
        served.terminate()
        assert served.wait() == 143
