import shutil
from collections.abc import Callable
from functools import partialmethod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from postergenre import params
from postergenre.errors import InputError
from postergenre.networks import checkpoints, optimizers, training, weight_average
from postergenre.networks.backend import keras
from postergenre.networks.batches import Batches
from postergenre.networks.checkpoints import Checkpoint
from postergenre.networks.config import Network, Recipe, TrainParams
from postergenre.networks.validation import mean_average_precision, predictions
from tests.factories import TRAIN, compute_val_loss, fit_network, make_data, make_network, prepare
from tests.support import ROOT


def test_training_learns_and_is_logged_epoch_by_epoch(tmp_path: Path) -> None:
    logged: list[tuple[int, dict[str, float]]] = []
    model = fit_network(tmp_path, lambda epoch, metrics: logged.append((epoch, metrics)), epochs=12, patience=12)
    assert [epoch for epoch, _ in logged] == list(range(1, 13))
    assert set(logged[0][1]) == {"loss", "val_loss", "val_map", "learning_rate"}
    assert logged[-1][1]["val_map"] > 0.95
    probabilities = predictions(model, make_data().store, make_data().val)
    losses = [metrics["val_loss"] for _, metrics in logged]
    assert min(abs(loss - compute_val_loss(probabilities)) for loss in losses) < 1e-6
    best = max(metrics["val_map"] for _, metrics in logged)
    assert mean_average_precision(make_data().val.labels, probabilities) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize(("optimizer", "ema"), [("adamw", 0.9), ("muon", 0.0)])
def test_a_training_interrupted_after_any_epoch_ends_as_an_undisturbed_one(
    tmp_path: Path, optimizer: str, ema: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_average, "STATISTICS", 5)  # each takes a while

    def keep(epoch: int, _: dict[str, float]) -> None:
        shutil.copytree(tmp_path / "whole", tmp_path / f"killed-{epoch}")

    whole = fit_network(tmp_path / "whole", keep, optimizer=optimizer, ema=ema)
    for epoch in (1, 3):
        folder = tmp_path / f"killed-{epoch}"
        resumed = fit_network(folder, optimizer=optimizer, ema=ema)
        for one, other in zip(whole.weights, resumed.weights, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)
        assert Checkpoint(folder).history == Checkpoint(tmp_path / "whole").history


def test_the_moving_average_of_the_weights_is_evaluated_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[Any] = []
    apply = keras.optimizers.AdamW.apply

    def spied(self: Any, gradients: Any, variables: Any = None) -> Any:
        done = apply(self, gradients, variables)
        steps.append([keras.ops.convert_to_numpy(variable) for variable in variables])
        return done

    train = params.parse("train", TrainParams, TRAIN)
    prepare(train)
    monkeypatch.setattr(keras.optimizers.AdamW, "apply", spied)
    made = make_network(ema=0.8, epochs=1, warmup_epochs=0)
    monkeypatch.setattr(keras.Model, "compile", partialmethod(keras.Model.compile, run_eagerly=True))
    model = training.fit(made, train, make_data(), Checkpoint(tmp_path), lambda *_: None)
    average = steps[0]
    for step in steps[1:]:
        average = [0.8 * old + 0.2 * new for old, new in zip(average, step, strict=True)]
    for variable, expected in zip(model.trainable_variables, average, strict=True):
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-4, atol=1e-6, err_msg=variable.path)
    assert not np.allclose(steps[-1][0], average[0])


def test_averaged_weights_are_evaluated_and_kept_with_statistics_of_their_own(tmp_path: Path) -> None:
    logged: list[float] = []
    rate = {"ema": 0.95, "learning_rate": 0.05, "epochs": 2}
    model = fit_network(tmp_path, lambda _, metrics: logged.append(metrics["val_map"]), **rate)
    probabilities = predictions(model, make_data().store, make_data().val)
    assert mean_average_precision(make_data().val.labels, probabilities) == pytest.approx(max(logged), abs=1e-6)
    norm = next(layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization))
    seen = keras.Model(model.input, norm.input).predict_on_batch(make_data().store[np.arange(40)])
    # Its own see augmented posters, these do not.
    np.testing.assert_allclose(norm.moving_mean.numpy(), seen.mean(axis=(0, 1, 2)), atol=0.05)
    np.testing.assert_allclose(norm.moving_variance.numpy(), seen.var(axis=(0, 1, 2)), rtol=0.3)


def test_a_finished_training_is_not_trained_on(tmp_path: Path) -> None:
    one = fit_network(tmp_path, epochs=2)
    again = fit_network(tmp_path, lambda *_: pytest.fail("trained again"), epochs=2)
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), again.get_weights(), strict=True))


def test_a_checkpoint_belongs_to_one_training_and_stays_until_that_has_ended(tmp_path: Path) -> None:
    def train(seed: int, kept: bool, inside: Callable[[], None]) -> None:
        with checkpoints.checkpointed(tmp_path, {"seed": seed}) as checkpoint:
            assert (checkpoint.folder / "kept").exists() == kept
            (checkpoint.folder / "kept").touch()
            inside()

    def interrupted() -> None:
        train(2, False, lambda: None)
        with pytest.raises(InputError, match="another process runs this training"):
            train(1, False, lambda: None)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(1, False, interrupted)
    train(1, True, lambda: None)
    assert not list(tmp_path.iterdir())


def test_only_the_last_and_the_best_epoch_are_kept(tmp_path: Path) -> None:
    fit_network(tmp_path, epochs=4)
    epochs = {int(file.name[6:10]) for file in tmp_path.glob("epoch-*")}
    assert epochs == {4, Checkpoint(tmp_path).best_epoch}


def test_training_stops_when_nothing_gets_better(tmp_path: Path) -> None:
    epochs: list[int] = []
    changes = {"epochs": 9, "patience": 2, "learning_rate": 1e-12, "warmup_epochs": 0}
    fit_network(tmp_path, lambda epoch, _: epochs.append(epoch), **changes)
    best = Checkpoint(tmp_path).best_epoch
    assert len(epochs) == best + 2 < 9


def test_a_loss_that_is_no_number_ends_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a learning_rate below 1e\\+38 would help"):
        fit_network(tmp_path, optimizer="adam", learning_rate=1e38, schedule="constant", warmup_epochs=0)


def test_weights_that_the_last_step_broke_end_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the loss is nan after epoch 1; a learning_rate below 0\.01"):
        fit_network(tmp_path, weight_decay=1e38, batch_size=40)


def test_the_rate_warms_up_and_follows_its_schedule() -> None:
    def rate_at(optimizer: keras.optimizers.Optimizer, step: int) -> float:
        optimizer.iterations.assign(step)
        return float(optimizer.learning_rate)

    def rates(**changes: Any) -> list[float]:
        optimizer = optimizers.build(make_network(**changes), 10)
        return [rate_at(optimizer, step) for step in (0, 5, 10, 30, 50)]

    cosine = rates()
    assert cosine == pytest.approx([0.001, 0.0055, 0.01, 0.005, 0.0], abs=1e-6)
    assert rates(schedule="constant") == pytest.approx([0.001, 0.0055, 0.01, 0.01, 0.01], abs=1e-6)
    assert rates(schedule="constant", warmup_epochs=0) == pytest.approx([0.01] * 5, abs=1e-6)
    assert rates(warmup_epochs=0)[::2] == pytest.approx([0.01, 0.009045, 0.0], abs=1e-6)


def test_every_epoch_sees_each_poster_once_in_its_own_order() -> None:
    made = make_data()
    batches = Batches(made.store, made.train, 16, seed=1, epoch=0)
    first = batches.order.copy()
    assert [len(batches[k][0]) for k in range(len(batches))] == [16, 16, 8]
    posters, labels = batches[1]
    assert posters.dtype == np.uint8
    np.testing.assert_array_equal(labels, made.train.labels[first[16:32]])
    batches.on_epoch_end()
    assert sorted(first) == sorted(batches.order) == list(range(40))
    assert not np.array_equal(first, batches.order)
    np.testing.assert_array_equal(Batches(made.store, made.train, 16, 1, epoch=1).order, batches.order)


def test_a_genre_without_positives_does_not_count_in_the_mean() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (50, 4)).astype(np.uint8)
    labels[:, 2] = 0
    probabilities = random.random((50, 4)).astype(np.float32)
    expected = np.mean([average_precision_score(labels[:, k], probabilities[:, k]) for k in (0, 1, 3)])
    assert mean_average_precision(labels, probabilities) == pytest.approx(expected)


def test_a_gpu_that_is_not_there_is_refused() -> None:
    if keras.distribution.list_devices("gpu"):
        pytest.skip("there is a GPU here")
    with pytest.raises(InputError, match=r"train\.device is gpu, but tensorflow finds none here"):
        prepare(params.parse("train", TrainParams, TRAIN | {"device": "gpu"}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "sgd"}, "training.optimizer is 'sgd'; it should be 'adam', 'adamw' or 'muon'"),
        ({"schedule": "step"}, "training.schedule is 'step'; it should be 'constant' or 'cosine'"),
        ({"learning_rate": "1e-3"}, "training.learning_rate is '1e-3'; it should be a valid number"),
        ({"epochs": 0}, "training.epochs is 0; it should be greater than or equal to 1"),
        ({"class_weights": "no"}, "training.class_weights is 'no'; it should be a valid boolean"),
        ({"momentum": 0.9}, "training.momentum is not a known key"),
        ({"weight_decay": float("inf")}, "training.weight_decay is inf; it should be a finite number"),
        ({"warmup_epochs": 6}, "warmup_epochs is 6, more than the 5 epochs of training"),
    ],
)
def test_a_wrong_recipe_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        make_network(**changes)
    assert message in str(error.value)


def test_a_switch_is_auto_true_or_false() -> None:
    with pytest.raises(InputError, match=r"train\.mixed_precision is 'yes'; it should be 'auto', True or False$"):
        params.parse("train", TrainParams, TRAIN | {"mixed_precision": "yes"})


def test_the_shipped_networks_are_valid() -> None:
    for name in params.read(ROOT / "params.yaml")["networks"]:
        assert isinstance(params.load(f"networks.{name}", Network, ROOT / "params.yaml").training, Recipe)
