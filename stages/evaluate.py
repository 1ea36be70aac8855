"""evaluate: judge the network on the untouched test posters, beside what guessing scores.

Reads   data/posters/manifest.csv, data/resized/, data/dataset/, models/
Writes  reports/: metrics.json, comparison.csv, per_genre.csv, groups.csv, plots/, test_answers.csv.gz, report.html,
        model_card.md
Params  evaluate
"""

from functools import partial
from pathlib import Path

from postergenre import errors, params
from postergenre.evaluation import html_report, metrics, model_card, report
from postergenre.networks import model_folder
from postergenre.prediction import gradcam, predictor
from postergenre.tracking import runs

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
    judged = report.judge(
        data, metrics.Predictions(probabilities, network.thresholds, network.global_threshold), evaluate
    )
    report.write(OUTPUT, judged)
    model_card.write(OUTPUT / "model_card.md", judged)
    heatmaps = partial(gradcam.heatmaps, model_folder.load_keras(MODELS))
    html_report.write(OUTPUT / "report.html", judged, evaluate.pictures, heatmaps)
    with runs.evaluation_run(MODELS) as run:
        run.log_evaluation(OUTPUT)
    print(report.results_table(judged.comparison))


if __name__ == "__main__":
    errors.run(main)
