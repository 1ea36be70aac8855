"""Posters a second and processor seconds per thousand: our spider, img2dataset, and urlretrieve one by one.

    python -m benchmarks.crawl POSTERS --img2dataset PROGRAM

POSTERS: a folder of pictures, which nginx serves on loopback (Debian's package `nginx`). PROGRAM: img2dataset's, from
an environment of its own, for it wants an older pandas. Politeness is off, each runs once, one after another.
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
# The student project's way, as its notebook had it, less the plotting.
ONE_BY_ONE = """
import sys, urllib.request
for number, url in enumerate(open(sys.argv[1]).read().split()):
    urllib.request.urlretrieve(url, f"{sys.argv[2]}/{number}.jpg")
"""


@contextmanager
def nginx(posters: Path, folder: Path) -> Iterator[None]:
    """The folder on loopback, by one nginx worker."""
    file = folder / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=folder, posters=posters.resolve(), port=PORT))
    server = subprocess.Popen(["nginx", "-c", str(file), "-g", "daemon off; user root;"])
    try:
        time.sleep(1)
        yield
    finally:
        server.terminate()
        server.wait()


def measured(command: Sequence[str], cwd: Path) -> tuple[float, float]:
    """Wall seconds, and processor seconds of the command with all that it started.

    Raises:
        SystemExit: it failed.
    """
    started = time.monotonic()
    before = os.times()
    environment = os.environ | {"NO_ALBUMENTATIONS_UPDATE": "1"}  # img2dataset's dependency looks for news of itself
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    after = os.times()
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - started, processor


def ours(folder: Path, urls: Sequence[str], processes: int) -> tuple[float, float]:
    """The scrape stage, tar shards and manifest included."""
    folder.mkdir()
    rows = [f"{number},,,,Drama,{url}" for number, url in enumerate(urls, 1)]
    (folder / "films.csv").write_text("\n".join(["imdbId,Imdb Link,Title,IMDB Score,Genre,Poster", *rows]) + "\n")
    section = yaml.safe_load(Path("params.yaml").read_text())["scrape"]
    section |= {"catalogue": "films.csv", "allow_private_hosts": True, "concurrency": 32, "processes": processes}
    (folder / "params.yaml").write_text(
        yaml.safe_dump({"scrape": section | {"min_success": 1.0, "placeholder_films": 1000}})
    )
    return measured([sys.executable, "-m", "stages.scrape"], folder)


def img2dataset(program: Path, folder: Path, urls: Path, unchecked: bool) -> tuple[float, float]:
    """Tar shards with hashes, pictures in their own size, by a process for each core. unchecked: not decoded."""
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
        "processes_count": os.cpu_count(),
        "thread_count": 32,
    }
    return measured([str(program), *(f"--{name}={value}" for name, value in options.items())], folder.parent)


def one_by_one(folder: Path, urls: Path) -> tuple[float, float]:
    """urllib.request.urlretrieve in a loop."""
    folder.mkdir()
    return measured([sys.executable, "-c", ONE_BY_ONE, str(urls), str(folder)], folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("posters", type=Path, help="a folder of pictures")
    parser.add_argument(
        "--times", type=int, default=4, help="how often each picture is asked for, as a film's of its own"
    )
    parser.add_argument("--img2dataset", type=Path, required=True, metavar="PROGRAM")
    asked = parser.parse_args()
    names = sorted(file.name for file in asked.posters.iterdir())
    with tempfile.TemporaryDirectory() as scratch, nginx(asked.posters, Path(scratch)):
        folder = Path(scratch)
        urls = [f"http://127.0.0.1:{PORT}/{name}?{turn}" for turn in range(asked.times) for name in names]
        listed = folder / "urls.txt"
        listed.write_text("\n".join(urls) + "\n")
        urllib.request.urlopen(urls[0]).close()
        rows = {
            "the spider, 1 process": ours(folder / "one", urls, 1),
            "the spider, 2 processes": ours(folder / "two", urls, 2),
            "img2dataset, pictures checked": img2dataset(asked.img2dataset, folder / "checked", listed, False),
            "img2dataset, bytes kept unchecked": img2dataset(asked.img2dataset, folder / "unchecked", listed, True),
            "urlretrieve, one by one, unchecked": one_by_one(folder / "urlretrieve", listed),
        }
    print(f"{len(urls):,} posters\n\n| | posters a second | processor seconds per thousand |\n|---|--:|--:|")
    for name, (wall, processor) in rows.items():
        print(f"| {name} | {len(urls) / wall:.0f} | {1000 * processor / len(urls):.1f} |")


if __name__ == "__main__":
    main()
