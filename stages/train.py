"""train: train the chosen network and keep its best epoch.

Reads   data/resized/, data/dataset/
Writes  models/: weights.weights.h5, architecture.json, model.onnx, genres.json, calibration.json, thresholds.json,
        summary.txt, history.csv, run.json
Keeps   checkpoints/ of the project, outside DVC, also of an experiment in a folder of its own: an interrupted training
        resumes from its last finished epoch
Params  train, networks.NAME
"""

from pathlib import Path

from postergenre import errors, files, params
from postergenre.networks import backend
from postergenre.tracking import runs

RESIZED = Path("data/resized")
DATASET = Path("data/dataset")
OUTPUT = Path("models")
CHECKPOINTS = Path("checkpoints")


def main() -> None:
    backend.start()  # before the next lines import Keras
    from postergenre.networks import checkpoints, config, model_folder, training, training_data

    train = params.load("train", config.TrainParams)
    network = params.load(f"networks.{train.network}", config.Network)
    data = training_data.read(RESIZED, DATASET)
    device = backend.configure(train.device, train.deterministic, train.mixed_precision)
    description = training.describe(network, train, data)
    print(f"{train.network}: {len(data.train.rows):,} posters, {len(data.train.genres)} genres, on the {device}")
    checkpoint_folder = files.project_root(Path.cwd()) / CHECKPOINTS
    with (
        checkpoints.checkpointed(checkpoint_folder, description) as checkpoint,
        runs.training_run(description, checkpoint.folder) as run,
    ):
        model = training.fit(network, train, data, checkpoint, run.log_epoch)
        calibrated = training.calibrate(model, data, train.threshold_shrinkage)
        history, best_epoch = checkpoint.history, checkpoint.best_epoch
        with files.atomic_folder(OUTPUT) as folder:
            trained = model_folder.Trained(model, history, best_epoch, *calibrated, data.train.genres, description)
            model_folder.write(folder, trained)
        run.log_training(OUTPUT)


if __name__ == "__main__":
    errors.run(main)
