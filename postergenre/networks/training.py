"""Training one network: the best epoch by validation mAP, resumable after any interruption."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score
from tqdm import tqdm

from postergenre import files
from postergenre.data import split_tables
from postergenre.data.split_tables import Split
from postergenre.data.store import Store
from postergenre.data.store import batches as pieces
from postergenre.errors import InputError
from postergenre.networks import architecture, pretrained
from postergenre.networks.backend import keras
from postergenre.networks.checkpoints import Checkpoint
from postergenre.networks.config import Network, Recipe, TrainParams
from postergenre.networks.losses import Loss, rarity
from postergenre.networks.optimizers import Adam, AdamW, Muon

# Posters that are looked at together; more would crowd each other out of the processor's caches.
PIECE = 32
# Batches from which batch norms learn the statistics of averaged weights; with their momentum nothing of those before
# is left.
STATISTICS = 50
# The next head's seed is so much higher, for trainings with other seeds are not to share heads.
SEEDS = 1_000_003
# What a network sees: posters by their rows in the store, or features of them.
Inputs = Store | npt.NDArray[np.float32]
# Is told each finished epoch's number and figures.
LogEpoch = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Data:
    """What a training sees. summary: of the dataset, as `summary.json` holds it; digest: of its three splits."""

    store: Store
    train: Split
    val: Split
    summary: dict[str, Any]
    digest: str


class Batches(keras.utils.PyDataset):
    """Inputs `(n, ...)` and labels float32 `(n, genres)`, in an order that seed and epoch decide."""

    def __init__(self, inputs: Inputs, split: Split, batch_size: int, seed: int, epoch: int):
        # Two, for with one Keras 3.15 leaves the reading to tf.data's autotuner, whose thread may sleep for half a
        # minute before an epoch can end.
        super().__init__(workers=2)
        self.inputs, self.split, self.batch_size, self.seed, self.epoch = inputs, split, batch_size, seed, epoch
        self._shuffle()

    def __len__(self) -> int:
        return -(-len(self.split.rows) // self.batch_size)

    def __getitem__(self, number: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
        chosen = self.order[number * self.batch_size : (number + 1) * self.batch_size]
        return self.inputs[self.split.rows[chosen]], self.split.labels[chosen].astype(np.float32)

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self._shuffle()

    def _shuffle(self) -> None:
        self.order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.split.rows))


class _EpochBegin(keras.callbacks.Callback):
    """Sets the random layers anew from seed and epoch, for Keras saves no state of theirs with the weights."""

    def __init__(self, seed: int):
        super().__init__()
        self.seed = seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        _seed(self.model, self.seed, epoch)


class _EpochEnd(keras.callbacks.Callback):
    """Judges each epoch on the validation posters, keeps it, and stops after `patience` epochs without a better one."""

    def __init__(
        self,
        inputs: Inputs,
        val: Split,
        recipe: Recipe,
        first: Batches,
        checkpoint: Checkpoint,
        log_epoch: LogEpoch,
    ):
        """first: the batches of the first epoch, see `_average`."""
        super().__init__()
        self.inputs, self.val, self.recipe, self.first = inputs, val, recipe, first
        self.checkpoint, self.log_epoch = checkpoint, log_epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        loss = float((logs or {})["loss"])
        with _averaged(self.model, self.recipe, self.first):
            labels, probabilities = self.val.labels, answers(self.model, self.inputs, self.val)
        # The loss is of the weights before the epoch's last step, the answers are of those after it.
        if not (np.isfinite(loss) and np.isfinite(probabilities).all()):
            raise InputError(
                f"the loss is {loss if not np.isfinite(loss) else 'nan'} after epoch {epoch + 1}; "
                f"a learning_rate below {self.recipe.learning_rate} would help"
            )
        row = {
            "epoch": epoch + 1,
            "loss": loss,
            "val_loss": float(np.mean(keras.losses.binary_crossentropy(labels.astype(np.float32), probabilities))),
            "val_map": mean_average_precision(labels, probabilities),
            "learning_rate": float(self.model.optimizer.learning_rate),
        }
        self.checkpoint.save_epoch(self.model, row)
        self.log_epoch(epoch + 1, {key: value for key, value in row.items() if key != "epoch"})
        if epoch + 1 - self.checkpoint.best_epoch >= self.recipe.patience:
            self.model.stop_training = True


class _Progress(keras.callbacks.Callback):
    """On a terminal, one bar with the time left until the last epoch; elsewhere a line per epoch."""

    def __init__(self, checkpoint: Checkpoint, epochs: int, steps: int):
        super().__init__()
        self.checkpoint, self.epochs = checkpoint, epochs
        self.bar = tqdm(
            total=epochs * steps, initial=checkpoint.epochs * steps, unit=" steps", desc="train", disable=None
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        row, best = self.checkpoint.history[-1], self.checkpoint.best_epoch
        tqdm.write(
            f"epoch {epoch + 1:3d}/{self.epochs}  loss {row['loss']:.4f}  val_loss {row['val_loss']:.4f}"
            f"  val mAP {row['val_map']:.4f}" + ("  best" if best == epoch + 1 else f"  best is {best}")
        )

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self.bar.close()


def read_data(resized: Path, dataset: Path) -> Data:
    """The posters and the splits to train on.

    Raises:
        InputError: one of them is missing, or the dataset was made from another store.
    """
    store, summary = Store(resized), files.read_json(dataset / "summary.json", "`dvc repro dataset`")
    if summary["store"] != store.digest:
        raise InputError(f"{dataset} was made from other posters than {resized} holds; run `dvc repro`")
    train, val = (split_tables.read_split(dataset / f"{name}.csv") for name in ("train", "val"))
    return Data(store, train, val, summary, split_tables.digest(dataset))


def about(network: Network, params: TrainParams, data: Data) -> dict[str, Any]:
    """What decides the training's result, for run.json: whoever has the model can tell what made it."""
    resize = {"height": data.store.height, "width": data.store.width, "fit": data.store.fit}
    return {
        "params": {
            "resize": resize,
            "dataset": data.summary["params"],
            "train": params.model_dump(),
            "network": network.model_dump(),
        },
        "data": {"store": data.store.digest, "dataset": data.digest, "posters": data.summary["posters"]},
        "backend": _backend(),
    }


def prepare(params: TrainParams) -> str:
    """Set up the backend for this process before its first operation; returns the device, `cpu` or `gpu`.

    Raises:
        InputError: `device: gpu`, and there is none.
    """
    if params.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    if params.deterministic:
        _make_deterministic()
    device = "gpu" if params.device != "cpu" and keras.distribution.list_devices("gpu") else "cpu"
    if params.device == "gpu" and device == "cpu":
        raise InputError(
            f"train.device is gpu, but {keras.backend.backend()} finds none here; "
            "auto or cpu trains without, TF_CPP_MIN_LOG_LEVEL=0 may show why"
        )
    mixed = device == "gpu" if params.mixed_precision == "auto" else params.mixed_precision
    keras.config.set_dtype_policy("mixed_float16" if mixed else "float32")
    return device


def fit(
    network: Network,
    params: TrainParams,
    data: Data,
    checkpoint: Checkpoint,
    log_epoch: LogEpoch,
) -> keras.Model:
    """Train from the checkpoint's last finished epoch to the end; the model of the best epoch, in float32."""
    models = [_built(network, params, data, number) for number in range(network.heads)]
    pretrained.prepare(models[0], network)
    first, kept = network.backbone and network.backbone.head_first, checkpoint.folder.parent
    if network.frozen:
        _train_heads(models, network, params, data, checkpoint, kept, log_epoch)
    elif first:
        wide = _built(network.wide, params, data)
        pretrained.prepare(wide, network)
        if not checkpoint.epochs:
            alone = Checkpoint(checkpoint.folder / "head")
            _train_heads(models, network.for_head(first), params, data, alone, kept, lambda *_: None)
            pretrained.merge(models, wide)
        pretrained.keep_norm(wide)
        models = [wide]
        _train(wide, data.store, network, params, data, checkpoint, log_epoch)
    else:
        _train(models[0], data.store, network, params, data, checkpoint, log_epoch)
    return _in_float32(models, network, params, data)


def _train_heads(
    models: list[keras.Model],
    network: Network,
    params: TrainParams,
    data: Data,
    checkpoint: Checkpoint,
    kept: Path,
    log_epoch: LogEpoch,
) -> None:
    """The models' heads apart from each other, on what the first one's backbone sees."""
    features = _features(models[0], network, data, kept)
    learner = pretrained.heads(models, features[data.train.rows])
    _train(learner, features, network, params, data, checkpoint, log_epoch)


def _train(
    learner: keras.Model,
    inputs: Inputs,
    network: Network,
    params: TrainParams,
    data: Data,
    checkpoint: Checkpoint,
    log_epoch: LogEpoch,
) -> None:
    """Until the recipe's end; the learner then is as in its best epoch."""
    recipe = network.training
    first, batches = (
        Batches(inputs, data.train, recipe.batch_size, params.seed, epoch) for epoch in (0, checkpoint.epochs)
    )
    share = data.train.labels.mean(axis=0)
    learner.compile(
        optimizer=optimizer(network, len(batches)),
        loss=Loss(recipe.loss, recipe.label_smoothing, rarity(share) if recipe.class_weights else np.ones_like(share)),
        jit_compile=params.xla,
        auto_scale_loss=True,
    )
    if checkpoint.epochs:
        learner.optimizer.build(learner.trainable_variables)
        learner.load_weights(checkpoint.weights(checkpoint.epochs))
    if not _finished(checkpoint, recipe):
        callbacks = [
            _EpochBegin(params.seed),
            _EpochEnd(inputs, data.val, recipe, first, checkpoint, log_epoch),
            _Progress(checkpoint, recipe.epochs, len(batches)),
        ]
        # `shuffle` would shuffle the batches once more, by a global generator.
        learner.fit(
            batches,
            epochs=recipe.epochs,
            initial_epoch=checkpoint.epochs,
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        )
    learner.load_weights(checkpoint.weights(checkpoint.best_epoch))
    if recipe.ema:
        _average(learner, first)


def optimizer(network: Network, steps: int) -> keras.optimizers.Optimizer:
    """The network's optimizer; `steps` is the number of batches in an epoch."""
    recipe = network.training
    rate = _schedule(recipe, steps)
    chosen: Adam | AdamW | Muon
    if recipe.optimizer == "adam":
        chosen = Adam(rate)
    elif recipe.optimizer == "muon":
        chosen = Muon(rate, recipe.weight_decay, exclude_layers=["genres"])
    else:
        chosen = AdamW(rate, weight_decay=recipe.weight_decay)
    if recipe.optimizer != "adam":
        chosen.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    if network.backbone:
        chosen.backbone_share = network.backbone.learning_rate / recipe.learning_rate
    chosen.use_ema, chosen.ema_momentum = recipe.ema > 0, recipe.ema
    return chosen


def answers(model: keras.Model, inputs: Inputs, split: Split) -> npt.NDArray[np.float32]:
    """The model's probabilities `(n, genres)` for a split's posters; of several heads, those of their mean log-odds."""
    probabilities = architecture.probabilities(model, (inputs[rows] for rows in pieces(split.rows, PIECE)))
    if probabilities.ndim == 2:
        return probabilities
    return expit(logit(probabilities.clip(1e-7, 1 - 1e-7)).mean(axis=1))  # type: ignore[no-any-return]


def mean_average_precision(labels: npt.NDArray[np.uint8], probabilities: npt.NDArray[np.float32]) -> float:
    """Average precision, averaged over the genres that have positives."""
    seen = labels.any(axis=0)
    return float(average_precision_score(labels[:, seen], probabilities[:, seen], average="macro"))


def _backend() -> dict[str, str]:
    return {"name": keras.backend.backend(), "keras": keras.__version__}


def _built(network: Network, params: TrainParams, data: Data, number: int = 0) -> keras.Model:
    """The network with its weights as training finds them; number: of the head, where it has several."""
    share = data.train.labels.mean(axis=0) if network.training.frequency_bias else np.full(len(data.train.genres), 0.5)
    imagenet = network.backbone is not None and network.backbone.weights == "imagenet"
    store, name = data.store, f"postergenre_{params.network}"
    seed = params.seed + number * SEEDS
    return architecture.build(network.architecture, store.height, store.width, share, seed, name, imagenet)


def _in_float32(models: list[keras.Model], network: Network, params: TrainParams, data: Data) -> keras.Model:
    """The model as it answers wherever it is loaded: without mixed precision, all of it thawed, its heads in one."""
    keras.config.set_dtype_policy("float32")
    plain = _built(network.wide, params, data)
    pretrained.merge(models, plain)
    return plain


def _seed(model: keras.Model, seed: int, epoch: int) -> None:
    states = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    for number, state in enumerate(states):
        state.assign(np.random.SeedSequence([seed, epoch, number]).generate_state(2))


@contextmanager
def _averaged(model: keras.Model, recipe: Recipe, first: Batches) -> Iterator[None]:
    """Within the block the model has the moving average of its weights, where the recipe keeps one."""
    if not recipe.ema:
        yield
        return
    before = [keras.ops.convert_to_numpy(variable) for variable in model.variables]
    _average(model, first)
    yield
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)


def _average(model: keras.Model, first: Batches) -> None:
    """Give the model the moving average of its weights, and the batch norms that are trained the statistics of that.

    Those that they have are of other weights, so the first batches of the first epoch are looked at anew (Izmailov et
    al. 2018, arXiv:1803.05407, section 3.2).
    """
    model.optimizer.finalize_variable_values(model.trainable_variables)
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    if any(layer.trainable for layer in norms):
        _seed(model, first.seed, 0)
        for number in range(STATISTICS):
            model(first[number % len(first)][0], training=True)


def _features(model: keras.Model, network: Network, data: Data, folder: Path) -> npt.NDArray[np.float32]:
    """What the backbone sees in each poster that is trained or validated on, by its row in the store.

    Kept in `folder` for other heads on the same backbone and posters, those of the last backbone only. The backbone looks at the
    first of them again, for it may see otherwise than the one that left them: that other code made, or other weights.
    """
    seen = network.architecture.model_dump(exclude={"head": {"norm", "dropout", "dense"}, "augmentation": True})
    precision = keras.config.dtype_policy().name
    key = [data.store.digest, data.digest, seen, network.backbone and network.backbone.weights, _backend(), precision]
    file = folder / f"features-{files.sha256_text(json.dumps(key, sort_keys=True))[:16]}.npy"
    backbone, rows = pretrained.backbone(model), np.concatenate([data.train.rows, data.val.rows])

    def look(piece: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return np.asarray(backbone.predict_on_batch(data.store[piece]), np.float32)

    kept, first = _loaded(file), rows[:PIECE]
    if kept is not None and np.allclose(kept[first], look(first), rtol=1e-3, atol=1e-3):
        return kept
    features = np.zeros((len(data.store), backbone.output_shape[-1]), np.float32)
    with tqdm(total=len(rows), unit=" posters", desc="features", disable=None) as bar:
        for piece in pieces(rows, PIECE):
            features[piece] = look(piece)
            bar.update(len(piece))
    folder.mkdir(parents=True, exist_ok=True)
    with files.atomic_write(file) as new, new.open("wb") as stream:
        np.save(stream, features)
    for other in set(folder.glob("features-*.npy")) - {file}:
        other.unlink(missing_ok=True)
    return features


def _loaded(file: Path) -> npt.NDArray[np.float32] | None:
    """The array in a file; none where there is no file, or it is damaged."""
    try:
        return np.load(file)  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError):
        return None


def _finished(checkpoint: Checkpoint, recipe: Recipe) -> bool:
    return checkpoint.epochs >= recipe.epochs or (
        checkpoint.epochs > 0 and checkpoint.epochs - checkpoint.best_epoch >= recipe.patience
    )


def _schedule(recipe: Recipe, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    schedules = keras.optimizers.schedules
    rate, warmup, total = recipe.learning_rate, recipe.warmup_epochs * steps, recipe.epochs * steps
    if recipe.schedule == "cosine":
        if not warmup:
            return schedules.CosineDecay(rate, total)
        return schedules.CosineDecay(rate / warmup, max(total - warmup, 1), warmup_target=rate, warmup_steps=warmup)
    # A straight line up to the rate, which it keeps.
    return schedules.PolynomialDecay(rate / warmup if warmup else rate, max(warmup, 1), end_learning_rate=rate)


def _make_deterministic() -> None:
    """Same inputs, same bytes. Keras has no switch for it, so this is the one place that asks which backend runs."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    elif keras.backend.backend() == "jax":
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_gpu_deterministic_ops=true"
