"""Peak memory of a crawl by the size of its catalogue, with nginx on loopback that answers every request with 404.

    python -m benchmarks.memory 10000 1000000

Needs Debian's package `nginx`. A million rows take almost an hour on two cores.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.crawl import PORT, nginx


def crawl(folder: Path, rows: int) -> tuple[float, float]:
    """Run the scrape stage; returns its seconds and the MiB of its largest process.

    Raises:
        SystemExit: the stage failed.
    """
    folder.mkdir()
    with (folder / "films.csv").open("w", encoding="utf-8") as stream:
        stream.write("imdbId,Imdb Link,Title,IMDB Score,Genre,Poster\n")
        for number in range(1, rows + 1):
            links = f"http://127.0.0.1:{PORT}/title/tt{number}", f"http://127.0.0.1:{PORT}/images/M/tt{number:07d}.jpg"
            stream.write(f"{number},{links[0]},Film number {number} (1999),7.1,Comedy|Drama,{links[1]}\n")
    section = yaml.safe_load(Path("params.yaml").read_text())["scrape"]
    section |= {"catalogue": "films.csv", "private_hosts": ["127.0.0.1"], "min_success": 0.0}
    (folder / "params.yaml").write_text(yaml.safe_dump({"scrape": section}))
    started = time.monotonic()
    if subprocess.run([sys.executable, "-m", "stages.scrape"], cwd=folder, check=False).returncode:
        sys.exit("the crawl failed")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    return time.monotonic() - started, peak


def main() -> None:
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "empty").mkdir()
        with nginx(folder / "empty", folder):
            # From small to large, because the operating system reports the peak of all runs so far.
            for rows in sorted(int(text) for text in sys.argv[1:]):
                seconds, peak = crawl(folder / str(rows), rows)
                lines.append(f"| {rows:,} | {seconds:.0f} | {peak:.0f} |")
    print("\n| catalogue rows | seconds | peak memory, MiB |\n|--:|--:|--:|", *lines, sep="\n")


if __name__ == "__main__":
    main()
