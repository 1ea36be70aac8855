"""evaluate: evaluate the model on the untouched test posters, beside trivial baselines.

Reads   data/posters/manifest.csv, data/resized/, data/text/, data/dataset/, models/
Writes  reports/: metrics.json, comparison.csv, per_genre.csv, subgroups.csv, plots/, test_predictions.csv.gz,
        drift_reference.npz, report.html, model_card.md
Keeps   checkpoints/ of the project, outside DVC: the vectors of texts
Params  evaluate
"""

from functools import partial
from pathlib import Path

from postergenre import errors, files, params
from postergenre.evaluation import html_report, model_card, report
from postergenre.evaluation.evaluator import Predictions
from postergenre.networks import model_folder
from postergenre.prediction import drift_reference, heatmaps, predictor
from postergenre.tracking import runs

MANIFEST = Path("data/posters/manifest.csv")
RESIZED = Path("data/resized")
TEXT = Path("data/text")
DATASET = Path("data/dataset")
MODELS = Path("models")
OUTPUT = Path("reports")
CHECKPOINTS = Path("checkpoints")


def main() -> None:
    section = params.load("evaluate", report.EvaluateParams)
    data = report.read_data(MANIFEST, RESIZED, TEXT, DATASET, MODELS)
    model = predictor.load(MODELS, with_text=False)
    probabilities, features = model.look_at_store(data.store, data.splits["test"].rows)
    by_picture = Predictions(probabilities, model.thresholds, model.global_threshold)
    text = model_folder.load_text(MODELS, model.genres, files.project_root(Path.cwd()) / CHECKPOINTS)
    evaluation = report.evaluate(data, report.with_text(data, by_picture, text), section)
    report.write(OUTPUT, evaluation)
    looked_at = data.splits["test"], evaluation.model.probabilities, probabilities, features
    drift_reference.make(MODELS, MANIFEST, data.store, *looked_at).write(OUTPUT / drift_reference.FILE)
    model_card.write(OUTPUT / "model_card.md", evaluation)
    html_report.write(OUTPUT / "report.html", evaluation, section.pictures, partial(heatmaps.draw, MODELS))
    with runs.evaluation_run(MODELS) as run:
        run.log_evaluation(OUTPUT)
    print(f"test mAP {evaluation.comparison.score('map').format().value}; `postergenre results` prints the table")


if __name__ == "__main__":
    errors.run(main)
