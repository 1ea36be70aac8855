"""evaluate: judge the network on the untouched test posters, beside what guessing scores.

Reads   data/posters/manifest.csv, data/resized/, data/dataset/, models/
Writes  reports/: metrics.json, comparison.csv, per_genre.csv, plots/, report.html
Params  evaluate
"""

from pathlib import Path

from postergenre import errors, metrics, page, params, predictor, report, tracking

MANIFEST = Path("data/posters/manifest.csv")
RESIZED = Path("data/resized")
DATASET = Path("data/dataset")
MODELS = Path("models")
OUTPUT = Path("reports")


def main() -> None:
    evaluate = params.load("evaluate", report.EvaluateParams)
    data = report.read_data(MANIFEST, RESIZED, DATASET, MODELS)
    network = predictor.load(MODELS)
    probabilities = network.predict_store(data.store, data.splits["test"].rows)
    judged = report.judge(data, metrics.Answer(probabilities, network.thresholds), evaluate)
    report.write(OUTPUT, judged)
    page.write(OUTPUT / "report.html", judged, evaluate.pictures)
    with tracking.evaluation_run(MODELS) as run:
        run.log_evaluation(OUTPUT)
    print(report.results_table(judged.comparison))


if __name__ == "__main__":
    errors.run(main)
