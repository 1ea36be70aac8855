"""Posters a second and processor seconds per thousand: our spider, img2dataset, and urlretrieve one by one.

    python -m benchmarks.crawl POSTERS --img2dataset PROGRAM

POSTERS is a folder of pictures, which nginx (Debian's package `nginx`) serves on loopback. PROGRAM is img2dataset, in
an environment of its own, because it needs an older pandas. Politeness is off. Each runs once, one after another.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

from postergenre import machine

PORT = 8763
CONFIGURATION = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  types {{ image/jpeg jpg; image/png png; }}
  server {{ listen 127.0.0.1:{port}; root {posters}; }}
}}
"""
# The loop of the student project's notebook, without its plots.
ONE_BY_ONE = """
import sys, urllib.request
for number, url in enumerate(open(sys.argv[1]).read().split()):
    urllib.request.urlretrieve(url, f"{sys.argv[2]}/{number}.jpg")
"""


@contextmanager
def nginx(posters: Path, folder: Path) -> Iterator[None]:
    """Serve a folder on loopback with one nginx worker."""
    file = folder / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=folder, posters=posters.resolve(), port=PORT))
    server = subprocess.Popen(["nginx", "-c", str(file), "-g", "daemon off; user root;"])
    try:
        time.sleep(1)
        yield
    finally:
        server.terminate()
        server.wait()


def measure(command: Sequence[str], cwd: Path) -> tuple[float, float]:
    """Run a command; returns its wall seconds and its processor seconds, child processes included.

    Raises:
        SystemExit: the command failed.
    """
    started = time.monotonic()
    before = os.times()
    environment = os.environ | {"NO_ALBUMENTATIONS_UPDATE": "1"}  # else a dependency of img2dataset looks for updates
    process = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    after = os.times()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed: {process.stdout[-2000:]}{process.stderr[-2000:]}")
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - started, processor


def crawl(folder: Path, urls: Sequence[str], processes: int) -> tuple[float, float]:
    """The scrape stage, with its tar shards and its manifest."""
    folder.mkdir()
    rows = [f"{number},,,,Drama,{url}" for number, url in enumerate(urls, 1)]
    (folder / "films.csv").write_text("\n".join(["imdbId,Imdb Link,Title,IMDB Score,Genre,Poster", *rows]) + "\n")
    section = yaml.safe_load(Path("params.yaml").read_text())["scrape"]
    section |= {"catalogue": "films.csv", "private_hosts": ["127.0.0.1"], "concurrency": 32, "processes": processes}
    (folder / "params.yaml").write_text(
        yaml.safe_dump({"scrape": section | {"min_success": 1.0, "placeholder_films": 1000}})
    )
    return measure([sys.executable, "-m", "stages.scrape"], folder)


def img2dataset(program: Path, folder: Path, urls: Path, unchecked: bool) -> tuple[float, float]:
    """img2dataset: tar shards with hashes, pictures in their own size, one process for each core.

    unchecked: keep the bytes without decoding them.
    """
    options = {
        "url_list": urls,
        "input_format": "txt",
        "output_folder": folder,
        "output_format": "webdataset",
        "resize_mode": "no",
        "disable_all_reencoding": unchecked,
        "skip_reencode": True,
        "number_sample_per_shard": 1000,
        "compute_hash": "sha256",
        "processes_count": machine.processors(),
        "thread_count": 32,
    }
    return measure([str(program), *(f"--{name}={value}" for name, value in options.items())], folder.parent)


def one_by_one(folder: Path, urls: Path) -> tuple[float, float]:
    """`urllib.request.urlretrieve` in a loop."""
    folder.mkdir()
    return measure([sys.executable, "-c", ONE_BY_ONE, str(urls), str(folder)], folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("posters", type=Path, help="a folder of pictures")
    parser.add_argument("--times", type=int, default=4, help="how many films each picture stands for (default: 4)")
    parser.add_argument("--img2dataset", type=Path, required=True, metavar="PROGRAM")
    arguments = parser.parse_args()
    names = sorted(file.name for file in arguments.posters.iterdir())
    with tempfile.TemporaryDirectory() as scratch, nginx(arguments.posters, Path(scratch)):
        folder = Path(scratch)
        urls = [f"http://127.0.0.1:{PORT}/{name}?{turn}" for turn in range(arguments.times) for name in names]
        url_file = folder / "urls.txt"
        url_file.write_text("\n".join(urls) + "\n")
        urllib.request.urlopen(urls[0]).close()
        rows = {
            "the spider, 1 process": crawl(folder / "one", urls, 1),
            "the spider, 2 processes": crawl(folder / "two", urls, 2),
            "img2dataset, pictures checked": img2dataset(arguments.img2dataset, folder / "checked", url_file, False),
            "img2dataset, bytes kept unchecked": img2dataset(
                arguments.img2dataset, folder / "unchecked", url_file, True
            ),
            "urlretrieve, one by one, unchecked": one_by_one(folder / "urlretrieve", url_file),
        }
    print(f"{len(urls):,} posters\n\n| | posters a second | processor seconds per thousand |\n|---|--:|--:|")
    for name, (wall, processor) in rows.items():
        print(f"| {name} | {len(urls) / wall:.0f} | {1000 * processor / len(urls):.1f} |")


if __name__ == "__main__":
    main()
