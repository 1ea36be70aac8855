"""train: train the chosen network and keep its best epoch; and what predicts by the text, where posters were read.

Reads   data/resized/, data/text/, data/dataset/, text_encoders.lock
Writes  models/: weights.weights.h5, architecture.json, model.onnx, genres.json, calibration.json, thresholds.json,
        summary.txt, history.csv, run.json, index.npz; text/ where posters were read
Keeps   checkpoints/ of the project, outside DVC, also of an experiment in a folder of its own: an interrupted training
        resumes from its last finished epoch
Params  train, text, networks.NAME
"""

from pathlib import Path

from postergenre import errors, files, params
from postergenre.networks import backend
from postergenre.tracking import runs

RESIZED = Path("data/resized")
TEXT = Path("data/text")
DATASET = Path("data/dataset")
ENCODERS = Path("text_encoders.lock")
OUTPUT = Path("models")
CHECKPOINTS = Path("checkpoints")


def main() -> None:
    backend.start()  # before the next lines import Keras
    from postergenre.networks import checkpoints, config, model_folder, training, training_data
    from postergenre.networks.text import training as text_training
    from postergenre.networks.text.config import TextParams

    train = params.load("train", config.TrainParams)
    network = params.load(f"networks.{train.network}", config.Network)
    text = params.load("text", TextParams)
    data = training_data.read(RESIZED, DATASET)
    device = backend.configure(train.device, train.deterministic, train.mixed_precision)
    print(f"{train.network}: {len(data.train.rows):,} posters, {len(data.train.genres)} genres, on the {device}")
    kept = files.project_root(Path.cwd()) / CHECKPOINTS
    texts = text_training.prepare(TEXT, text, data, ENCODERS, kept)
    description = training.describe(network, train, data)
    about = text_training.describe(description, texts)
    with checkpoints.checkpointed(kept, description) as checkpoint, runs.training_run(about, checkpoint.folder) as run:
        model = training.fit(network, train, data, checkpoint, run.log_epoch)
        index = training.index(model, network, data, checkpoint)
        calibrated = training.calibrate(model, data, train.threshold_shrinkage)
        learned = texts.fit(model, train, checkpoint) if texts else None
        history, best_epoch, genres = checkpoint.history, checkpoint.best_epoch, data.train.genres
        with files.atomic_folder(OUTPUT) as folder:
            trained = model_folder.Trained(model, history, best_epoch, *calibrated, genres, about, learned, index)
            model_folder.write(folder, trained)
        run.log_training(OUTPUT)


if __name__ == "__main__":
    errors.run(main)
