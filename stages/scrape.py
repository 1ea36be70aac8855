"""scrape: fetch the catalogue's posters.

Reads   the catalogue that `scrape.catalogue` names; posters from the hosts that it names
Writes  data/posters/: tar shards shard-*.tar with the posters as served, manifest.csv with a row for each catalogue
        row; reports/scrape.json: how many rows ended with which status
Keeps   downloads/posters.sqlite (or in $POSTERGENRE_DOWNLOADS), outside DVC: an interrupted crawl goes on from there
Params  scrape
"""

from pathlib import Path

from postergenre import errors, files, params
from postergenre.data import downloads_folder
from sample import site
from scraper import crawl, plan, shards, summary, wanted
from scraper.downloads import open_downloads

OUTPUT = Path("data/posters")
REPORT = Path("reports/scrape.json")
DOWNLOADS = Path("downloads")


def main() -> None:
    scrape = params.load("scrape", plan.ScrapeParams)
    catalogue, folder = Path(scrape.catalogue), downloads_folder.locate(DOWNLOADS)
    films = plan.Plan.read(catalogue, scrape)
    with open_downloads(folder) as downloads:
        if damaged := downloads.drop_damaged():
            print(f"{damaged:,} posters in {downloads.file} were damaged; they are fetched again")
        downloads.forget_unanswered()
        if scrape.retry_failed:
            downloads.forget_misses()
        downloads.note_earlier_misses()
        with (
            wanted.write(folder / "wanted.sqlite", films.wanted(downloads)) as wanted_films,
            site.serving(catalogue, needed=len(wanted_films) > 0) as own_site,
        ):
            blocked = crawl.crawl(wanted_films, downloads.file, scrape, own_site)
        rows = plan.ManifestRows(films, downloads)
        counts = summary.summarize(rows, downloads.is_earlier_miss, films.merged, films.retitled)
        print(counts)
        summary.check(counts, scrape.min_success, blocked)
        with files.atomic_folder(OUTPUT) as output:
            shards.write(output, rows, downloads, scrape.shard_rows)
            films.check_unchanged()
    files.write_json(REPORT, counts.as_json())


if __name__ == "__main__":
    errors.run(main)
