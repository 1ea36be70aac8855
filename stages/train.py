"""train: train the chosen network and keep its best epoch.

Reads   data/resized/, data/dataset/
Writes  models/: weights.weights.h5, architecture.json, model.onnx, genres.json, calibration.json, thresholds.json,
        summary.txt, history.csv, run.json
Keeps   checkpoints/ of the project, outside DVC, also of an experiment in a folder of its own: an interrupted training
        goes on from its last finished epoch
Params  train, networks.NAME
"""

from pathlib import Path

from postergenre import errors, files, params
from postergenre.networks import calibration, checkpoints, config, model_folder, thresholds, training
from postergenre.networks.model_folder import Trained
from postergenre.tracking import mlflow_store, runs

RESIZED = Path("data/resized")
DATASET = Path("data/dataset")
OUTPUT = Path("models")
CHECKPOINTS = Path("checkpoints")


def main() -> None:
    train = params.load("train", config.TrainParams)
    network = params.load(f"networks.{train.network}", config.Network)
    data = training.read_data(RESIZED, DATASET)
    device = training.prepare(train)
    about = training.about(network, train, data)
    print(f"{train.network}: {len(data.train.rows):,} posters, {len(data.train.genres)} genres, on the {device}")
    kept = mlflow_store.project_root(Path.cwd()) / CHECKPOINTS
    with (
        checkpoints.checkpointed(kept, about) as checkpoint,
        runs.training_run(about, checkpoint.run_id) as run,
    ):
        checkpoint.save_run(run.key)
        model = training.fit(network, train, data, checkpoint, run.log_epoch)
        raw = training.answers(model, data.store, data.val)
        calibrated = calibration.fit(data.val.labels, raw)
        calibration.work_in(model, calibrated)
        answers = calibrated.after(raw)
        chosen = thresholds.fit(data.val.labels, answers, train.threshold_shrinkage)
        shared = thresholds.global_threshold(data.val.labels, answers)
        with files.atomic_folder(OUTPUT) as folder:
            trained = Trained(
                model, checkpoint.history, checkpoint.best_epoch, calibrated, chosen, shared, data.train.genres, about
            )
            model_folder.write(folder, trained)
        run.log_training(OUTPUT)


if __name__ == "__main__":
    errors.run(main)
