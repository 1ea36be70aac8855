"""scrape: fetch the catalogue's posters.

Reads   the catalogue that `scrape.catalogue` names; posters from the hosts that it names
Writes  data/posters/: shard-*.tar with the posters as served, manifest.csv with a row for every catalogue row;
        reports/scrape.json: how many rows ended how
Keeps   downloads/posters.sqlite (or in $POSTERGENRE_DOWNLOADS), outside DVC: an interrupted crawl goes on from there
Params  scrape
"""

import os
from contextlib import nullcontext
from pathlib import Path

from postergenre import errors, files, params
from postergenre.data import manifest
from sample import films as sample
from sample import site
from scraper import crawl, downloads, plan, shards, wanted

OUTPUT = Path("data/posters")
REPORT = Path("reports/scrape.json")
# In the project itself, also when `dvc exp run --temp` or `--queue` works in a copy of it that is thrown away.
DOWNLOADS = Path(os.environ.get("POSTERGENRE_DOWNLOADS") or Path(os.environ.get("DVC_ROOT", ""), "downloads"))


def main() -> None:
    scrape = params.load("scrape", plan.ScrapeParams)
    file = Path(scrape.catalogue)
    films = plan.Plan.of(file, scrape)
    is_sample = file.resolve() == sample.CATALOGUE.resolve()
    with downloads.opened(DOWNLOADS) as held:
        if damaged := held.drop_damaged():
            print(f"{damaged:,} posters in {held.file} were damaged; they are fetched again")
        if scrape.retry_failed:
            held.forget_misses()
        with (
            wanted.written(DOWNLOADS / "wanted.sqlite", films.wanted(held)) as asked,
            site.serving(file) if is_sample and len(asked) else nullcontext(),
        ):
            own_site = f"{sample.HOST}:{sample.PORT}" if is_sample else ""
            blocked = crawl.crawl(asked, held.file, scrape, own_site)
        rows = plan.Ends(films, held)
        summary = manifest.summary(rows)
        print(summary)
        plan.check(summary, scrape.min_success, blocked)
        with files.atomic_folder(OUTPUT) as folder:
            shards.write(folder, rows, held, scrape.shard_rows)
            films.check_unchanged()
    files.write_json(REPORT, summary.as_json())


if __name__ == "__main__":
    errors.run(main)
