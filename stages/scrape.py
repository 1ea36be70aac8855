"""scrape: fetch the catalogue's posters.

Reads   the catalogue that `scrape.catalogue` names; posters from the hosts that it names
Writes  data/posters/: shard-*.tar with the posters as served, manifest.csv with a row for every catalogue row
Keeps   downloads/posters.sqlite (or $POSTERGENRE_DOWNLOADS), outside DVC: an interrupted crawl goes on from there
Params  scrape
"""

import os
from contextlib import nullcontext
from pathlib import Path

from postergenre import catalogue, downloads, errors, files, manifest, params
from scraper import crawl, plan
from scraper.sample import films as sample
from scraper.sample import site

OUTPUT = Path("data/posters")
DOWNLOADS = Path(os.environ.get("POSTERGENRE_DOWNLOADS", "downloads"), "posters.sqlite")


def main() -> None:
    scrape = params.load("scrape", plan.ScrapeParams)
    file = Path(scrape.catalogue)
    films = catalogue.read(file)
    chosen = plan.chosen_rows(films, scrape.source)
    sample_site = site.serving(file) if file.resolve() == sample.CATALOGUE.resolve() else nullcontext()
    with downloads.opened(DOWNLOADS) as held:
        wanted = plan.wanted(chosen, scrape.source, held)
        with sample_site if wanted else nullcontext():
            outcomes = crawl.crawl(wanted, held, scrape) if wanted else {}
        rows = plan.rows(films, chosen, scrape.source, held, outcomes)
        print(manifest.summary(rows))
        plan.check_success(rows, scrape.min_success)
        with files.replaced_folder(OUTPUT) as folder:
            manifest.write(folder, rows, held, scrape.shard_rows)


if __name__ == "__main__":
    errors.run(main)
