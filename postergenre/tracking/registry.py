"""MLflow's registry: which trained model is the champion, `models:/poster-genres@champion`."""

import socket
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from postergenre import account
from postergenre.errors import InputError
from postergenre.evaluation import bootstrap, test_predictions
from postergenre.evaluation.model_difference import FEWEST_POSTERS, CommonTest, Difference, common_test, map_difference
from postergenre.evaluation.test_predictions import TestPredictions
from postergenre.tracking import mlflow_store, old_names, run_queries

NAME = "poster-genres"
ALIAS = "champion"
# Tags of a version.
FORCED, BY, AT = "postergenre.forced", "postergenre.promoted_by", "postergenre.promoted_at"

# For the paired bootstrap: fixed, so that comparing the same two models always gives the same result.
RESAMPLES = 2000
SEED = 1


@dataclass(frozen=True)
class ChampionComparison:
    """How a model's test predictions compare with the champion's.

    champion: a version of the registered model; None where there is no champion.
    difference: of test mAP, the model's minus the champion's; None where the two cannot be compared.
    test: what both were tested on; None where they cannot be compared.
    obstacle: why the two cannot be compared.
    """

    champion: Any | None
    difference: Difference | None = None
    test: CommonTest | None = None
    obstacle: str = ""


def promote(models: Path, run_id: str | None, reason: str | None) -> str:
    """Register a run's model, and make it the champion if its test mAP is above the champion's by more than noise.

    Noise is what the 95 % interval of `map_difference` reaches down to. The first model always becomes champion.

    Args:
        models: the folder whose run is meant where `run_id` is None. An empty `run_id` is refused: in a script, that
            is a variable that was not set.
        reason: why it becomes champion whatever the comparison gives; a tag of the version keeps it.

    Returns:
        What was done, and why.

    Raises:
        InputError: MLflow does not answer or has no such run; the run did not finish or was not evaluated; or it was
            tested on too few of the champion's test posters, and there is no reason. Then nothing was registered. Or
            another model became champion meanwhile.
    """
    if run_id is not None and not run_id.strip():
        raise InputError(f"RUN_ID is {run_id!r}; it should be a run's id, or left out for the model in {models}")
    with mlflow_store.client_for("nothing was promoted") as client:
        run = run_queries.finished_run(run_queries.run_of(models) if run_id is None else run_id)
        champion = _champion(client)
        if champion and champion.run_id == run.info.run_id:
            return f"run {champion.run_id} is the champion already, version {champion.version}; nothing was changed"
        comparison = _compare_run(client, run, champion)
        if comparison.obstacle and reason is None:
            raise InputError(
                f"{comparison.obstacle}, so that the two cannot be compared; train and evaluate both on one dataset, "
                "or promote with --force REASON"
            )
        version = _register(client, run)
        difference = comparison.difference
        if champion is None or reason is not None or (difference and difference.low > 0):
            _set_champion(client, version, reason, champion)
            return _describe_new_champion(run, comparison, version, reason)
        return _describe_old_champion(comparison, version)


def compare(reports: Path) -> str:
    """Compare the model that was evaluated in a folder of reports with the champion; nothing is changed.

    Returns:
        One line, also where there is no champion or the two cannot be compared.

    Raises:
        InputError: the model was not evaluated, or MLflow does not answer.
    """
    file = reports / test_predictions.FILE
    if not file.exists():
        raise InputError(f"{file} is missing; `dvc pull {file}` brings it, or `dvc repro` makes it")
    ours = test_predictions.read(file)
    with mlflow_store.client_for("nothing was compared") as client:
        champion = _champion(client)
        if champion is None:
            return f"there is no champion of {NAME} yet; the model here would be the first"
        comparison = _compare(client, champion, ours, "the model here")
    difference = comparison.difference
    if difference is None:
        return f"the model here cannot be compared: {comparison.obstacle}"
    would = "would become" if difference.low > 0 else "would not become"
    return f"the model here {would} champion: {_figures(comparison, difference)}{_shortfall(difference)}"


def _champion(client: MlflowClient) -> Any | None:
    """The version that is the champion."""
    number = _champion_number(client)
    return client.get_model_version(NAME, number) if number else None


def _champion_number(client: MlflowClient) -> str | None:
    models = client.search_registered_models(f"name = '{NAME}'")
    return str(models[0].aliases[ALIAS]) if models and ALIAS in models[0].aliases else None


def _compare_run(client: MlflowClient, run: Any, champion: Any | None) -> ChampionComparison:
    """Compare a run's model with the champion, where there is one."""
    ours = _predictions(client, run.info.run_id)
    if ours is None:
        raise InputError(
            f"run {run.info.run_id} has no reports/{test_predictions.FILE}; with its model in models/, "
            "`dvc repro` evaluates it and `postergenre track` logs that"
        )
    return _compare(client, champion, ours, f"run {run.info.run_id}") if champion else ChampionComparison(None)


def _compare(client: MlflowClient, champion: Any, ours: TestPredictions, subject: str) -> ChampionComparison:
    """Compare a model's test predictions with the champion's. subject: the model's name in a sentence."""
    theirs = _predictions(client, champion.run_id)
    name = f"the champion, version {champion.version} (run {champion.run_id}),"
    if theirs is None:
        return ChampionComparison(champion, obstacle=f"{name} has no reports/{test_predictions.FILE}")
    test = common_test(ours, theirs)
    if not test.is_enough:
        obstacle = (
            f"{name} was evaluated on {_test_of(theirs)} and {subject} on {_test_of(ours)}, both on only "
            f"{_test_of(test.one)} (the fewest are {FEWEST_POSTERS} with a genre)"
        )
        return ChampionComparison(champion, obstacle=obstacle)
    if test.is_of_other_films:
        obstacle = f"{name} and {subject} know {len(test.one.film_ids):,} films by the same ids, but"
        return ChampionComparison(champion, obstacle=f"{obstacle} {test.relabelled:,} of them have different genres")
    resample_counts = bootstrap.resample_counts(len(test.one.film_ids), RESAMPLES, SEED)
    difference = map_difference(test.one.labels, test.one.probabilities, test.other.probabilities, resample_counts)
    return ChampionComparison(champion, difference, test)


def _test_of(predictions: TestPredictions) -> str:
    return f"{len(predictions.film_ids):,} test posters of {len(predictions.genres)} genres"


def _predictions(client: MlflowClient, run_id: str | None) -> TestPredictions | None:
    """A run's predictions for the test posters; None where the run was deleted or not evaluated."""
    if not run_id or not run_queries.exists(run_id):
        return None
    logged = {file.path for file in client.list_artifacts(run_id, "reports")}
    names = (test_predictions.FILE, old_names.TEST_PREDICTIONS)
    path = next((path for name in names if (path := f"reports/{name}") in logged), None)
    if path is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        return test_predictions.read(Path(client.download_artifacts(run_id, path, folder)))


def _register(client: MlflowClient, run: Any) -> Any:
    """The version of a run's model, which is registered if it was not."""
    versions = client.search_model_versions(f"name = '{NAME}' and run_id = '{run.info.run_id}'")
    if versions:
        return versions[0]
    if not client.search_registered_models(f"name = '{NAME}'"):
        client.create_registered_model(NAME)
    model = run.outputs.model_outputs[-1].model_id
    return client.create_model_version(NAME, f"models:/{model}", run.info.run_id, model_id=model)


def _set_champion(client: MlflowClient, version: Any, reason: str | None, champion: Any | None) -> None:
    """Make a version the champion, unless the champion is no longer the one that it was compared with.

    MLflow has no lock that would make this certain: one request lies between the last look and the change.
    """
    by, at = f"{account.name()}@{socket.gethostname()}", datetime.now(UTC).isoformat(timespec="seconds")
    tags: dict[str, str | None] = {BY: by, AT: at}
    # A version that was forced once may now be champion on merit. To remove a tag takes a permission that few have, so
    # that is done only where it is there.
    if reason is not None or FORCED in version.tags:
        tags[FORCED] = reason
    _tag(client, version, tags)
    now = _champion_number(client)
    if now != (str(champion.version) if champion else None):
        _tag(client, version, {key: version.tags.get(key) for key in tags})
        change = f"version {now} became the champion" if now else "the champion was removed"
        raise InputError(f"nothing was promoted: meanwhile {change}; promote again to compare with the champion of now")
    client.set_registered_model_alias(NAME, ALIAS, version.version)


def _tag(client: MlflowClient, version: Any, tags: dict[str, str | None]) -> None:
    """Set tags of a version, and remove those that are None."""
    for key, value in tags.items():
        if value is None:
            client.delete_model_version_tag(NAME, version.version, key)
        else:
            client.set_model_version_tag(NAME, version.version, key, value)


def _describe_new_champion(run: Any, comparison: ChampionComparison, version: Any, reason: str | None) -> str:
    text = f"version {version.version} of {NAME}, run {run.info.run_id}, is the champion now"
    if comparison.champion is None:
        text += f", as the first one; its test mAP is {run.data.metrics['test.map']:.4f}"
    elif comparison.difference is None:
        text += f", and was not compared: {comparison.obstacle}"
    else:
        text += f": {_figures(comparison, comparison.difference)}"
    return text if reason is None else f"{text}. It was forced: {reason}"


def _describe_old_champion(comparison: ChampionComparison, version: Any) -> str:
    difference, champion = comparison.difference, comparison.champion
    assert difference
    assert champion
    return (
        f"version {champion.version} of {NAME} stays the champion. Version {version.version}, run "
        f"{version.run_id}, is registered: {_figures(comparison, difference)}{_shortfall(difference)}"
    )


def _shortfall(difference: Difference) -> str:
    """Why a model does not become champion; "" where it does."""
    if difference.low > 0:
        return ""
    return ", which is no better" if difference.value <= 0 else ", which may be noise"


def _figures(comparison: ChampionComparison, difference: Difference) -> str:
    assert comparison.champion
    assert comparison.test
    version = comparison.champion.version
    return (
        f"{_basis(comparison.test, version)}its test mAP is {difference.one:.4f}, that of version {version} "
        f"{difference.other:.4f}; the difference on {len(comparison.test.one.film_ids):,} posters is "
        f"{difference.value:+.4f} (95 % interval {difference.low:+.4f} to {difference.high:+.4f})"
    )


def _basis(test: CommonTest, version: str) -> str:
    """What the figures are of, where a part of either test is left out or genres differ; else ""."""
    if test.is_whole:
        return ""
    counts = [
        f"{one:,} and {other:,} {noun}"
        for noun, (one, other) in {"posters": test.left_out_posters, "genres": test.left_out_genres}.items()
        if one or other
    ]
    notes = [f"left out, of its own and of version {version}'s: {', '.join(counts)}"] if counts else []
    if test.relabelled:
        notes.append(f"genres differ for {test.relabelled:,} of them, and its own count")
    return f"on the {_test_of(test.one)} that both know ({'; '.join(notes)}), "
