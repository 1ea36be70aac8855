"""In which width links are asked for, by host and by the shape of the link."""

import pytest

from scraper.private_hosts import PrivateHosts
from scraper.sizes import Sizes, Width

AMAZON = "https://m.media-amazon.com/images/M/MV5BMTc2@"
TMDB = "https://image.tmdb.org/t/p"


def make_sizes(width: Width = 300, images: str = "https://image.tmdb.org", hosts: tuple[str, ...] = ()) -> Sizes:
    return Sizes(width, images, PrivateHosts.parse(hosts))


def first(link: str, width: Width = 300, images: str = "https://image.tmdb.org", hosts: tuple[str, ...] = ()) -> str:
    """The link that is asked first; the second is the link as it stands."""
    links = make_sizes(width, images, hosts).links(link)
    assert links[-1] == link
    assert len(links) == len(set(links)) <= 2
    return links[0]


@pytest.mark.parametrize(
    "size",
    [
        "._V1_UX182_CR0,0,182,268_AL_",
        "._V1_UY268_CR3,0,182,268_AL_",
        "._V1_SX101_CR0,0,101,150_",
        "._V1_SX640",
        "._V1_SX640_SY720_",
        "._V1_SY317_CR5,0,214,317_AL_",
        "._V1_QL75_UX380_CR0,4,380,562_",
        "._V1_FMjpg_UX1000_",
        "._V1_Ratio0.6837_AL_",
        "._V1._SX100_SY140_",
        "._V1_",
        "",
    ],
)
def test_a_picture_of_imdb_is_asked_for_in_the_width_uncropped(size: str) -> None:
    assert first(f"{AMAZON}{size}.jpg") == f"{AMAZON}._V1_SX300.jpg"
    assert first(f"{AMAZON}{size}.jpg", 444) == f"{AMAZON}._V1_SX444.jpg"


def test_the_original_is_asked_for_without_a_size() -> None:
    assert first(f"{AMAZON}._V1_UX182_CR0,0,182,268_AL_.jpg", "original") == f"{AMAZON}._V1_.jpg"
    assert first(f"{AMAZON}._V1_UX182_CR0,0,182,268_AL_.jpg", None).endswith("._V1_UX182_CR0,0,182,268_AL_.jpg")
    assert first(f"{TMDB}/w185/a.jpg", "original") == f"{TMDB}/original/a.jpg"


@pytest.mark.parametrize(
    "host",
    [
        "http://ia.media-imdb.com",
        "https://images-na.ssl-images-amazon.com",
        "https://M.Media-Amazon.com:443",
        "http://127.0.0.1:8765",
        "http://localhost",
        "http://[::1]:80",
    ],
)
def test_the_hosts_that_resize(host: str) -> None:
    assert first(f"{host}/images/M/tt1%40@._V1_UX182_CR0,0,182,268_AL_.JPG") == f"{host}/images/M/tt1%40@._V1_SX300.JPG"


@pytest.mark.parametrize(
    "link",
    [
        "https://example.org/images/M/MV5B@._V1_UX182_CR0,0,182,268_AL_.jpg",  # a copy, which has one size
        "https://media-amazon.com.example.org/images/M/MV5B@._V1_SX300.png",
        "https://notmedia-amazon.com/images/M/MV5B@._V1_UX182_.jpg",
        "https://cdn.example.org/MV5B._V1_QL75_UX820_-1024x574.jpg",
        "https://m.media-amazon.com/images/I/51abc.jpg",  # no film's picture
        "https://m.media-amazon.com/images/M/MV5B@._V1_SX300",
        "http://127.0.0.1:8000/tt0084058.jpg",
        "https://example.org/t/p/w185/a.jpg",
        "http://10.0.0.6/images/M/MV5B@._V1_SX182.jpg",
        "http://10.0.0.5/posters/MV5B.jpg",
        "https://image.tmdb.org/t/p/a.jpg",
        "http://[",
        "",
    ],
)
def test_any_other_link_stays_as_it_is_and_costs_no_second_request(link: str) -> None:
    assert make_sizes(hosts=("10.0.0.5",)).links(link) == [link]


@pytest.mark.parametrize(
    ("width", "size"),
    [
        (16, "w92"),
        (92, "w92"),
        (93, "w154"),
        (185, "w185"),
        (186, "w342"),
        (300, "w342"),
        (444, "w500"),
        (781, "original"),
    ],
)
def test_tmdb_gives_the_next_size_that_is_wide_enough(width: int, size: str) -> None:
    assert make_sizes(width).tmdb_size() == size
    for asked in ("w600_and_h900_bestv2", "original"):
        assert first(f"{TMDB}/{asked}/a.jpg", width) == f"{TMDB}/{size}/a.jpg"


@pytest.mark.parametrize("host", ["10.0.0.5", "10.0.0.5:8000", "mirror.lan"])
def test_a_listed_private_host_is_a_mirror(host: str) -> None:
    hosts = ("10.0.0.5", "mirror.lan:80")
    for size in ("._V1_UX182_CR0,0,182,268_AL_", "._V1_", ""):
        assert first(f"http://{host}/images/M/MV5B@{size}.jpg", hosts=hosts) == (
            f"http://{host}/images/M/MV5B@._V1_SX300.jpg"
        )
    assert first(f"http://{host}/t/p/w92/a.jpg", hosts=hosts) == f"http://{host}/t/p/w342/a.jpg"


def test_a_mirror_of_tmdb_is_known_by_the_parameters() -> None:
    assert first("https://tmdb.example.org/x/t/p/w92/a.jpg", 300, "https://tmdb.example.org/x") == (
        "https://tmdb.example.org/x/t/p/w342/a.jpg"
    )
