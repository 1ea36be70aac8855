"""MLflow's registry: which trained model is the champion, `models:/poster-genres@champion`."""

import socket
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from postergenre.dvc_project import username
from postergenre.errors import InputError
from postergenre.evaluation import bootstrap, test_predictions
from postergenre.evaluation.model_difference import Difference, map_difference
from postergenre.evaluation.test_predictions import TestPredictions
from postergenre.tracking import mlflow_store

NAME = "poster-genres"
ALIAS = "champion"
# Tags of a version.
FORCED, BY, AT = "postergenre.forced", "postergenre.promoted_by", "postergenre.promoted_at"

# Of the paired bootstrap; always the same, so that the same two models get the same verdict.
RESAMPLES = 2000
SEED = 1


@dataclass(frozen=True)
class Trial:
    """How a model did beside the champion.

    champion: a version of the model, None where there was none. found: None where the two cannot be compared, and
    obstacle says why.
    """

    champion: Any | None
    found: Difference | None = None
    posters: int = 0
    obstacle: str = ""


def promote(models: Path, run_id: str | None, reason: str | None) -> str:
    """Register a run's model, and make it the champion if its test mAP is above the champion's by more than noise.

    Noise is what the 95 % interval of `map_difference` reaches down to. The first model becomes champion as it is.

    Args:
        models: whose run is meant where `run_id` is None. An empty one is refused: in a script, a variable is unset.
        reason: why it becomes champion whatever the comparison says; a tag of the version keeps it.

    Returns:
        What was done, and why.

    Raises:
        InputError: MLflow does not answer or has no such run; the run did not finish or was not judged; or it was
            judged on another test split than the champion, and there is no reason. Then nothing was registered. Or
            another became champion meanwhile.
    """
    if run_id is not None and not run_id.strip():
        raise InputError(f"RUN_ID is {run_id!r}; it should be a run's id, or left out for the model in {models}")
    with mlflow_store.asking("nothing was promoted") as client:
        run = mlflow_store.finished(mlflow_store.run_of(models) if run_id is None else run_id)
        champion = _champion(client)
        if champion and champion.run_id == run.info.run_id:
            return f"run {champion.run_id} is the champion already, version {champion.version}; nothing was changed"
        trial = _tried(client, run, champion)
        if trial.obstacle and reason is None:
            raise InputError(
                f"{trial.obstacle}, so that the two cannot be compared; train and judge both on one dataset, "
                "or promote with --force REASON"
            )
        version = _registered(client, run)
        if champion is None or reason is not None or (trial.found and trial.found.low > 0):
            _crown(client, version, reason, champion)
            return _promoted(run, trial, version, reason)
        return _kept(trial, version)


def compare(reports: Path) -> str:
    """How the model that was judged in a folder of reports does beside the champion; nothing is registered or changed.

    Returns:
        One line; also where there is no champion, or the two cannot be compared.

    Raises:
        InputError: it was not judged, or MLflow does not answer.
    """
    file = reports / test_predictions.FILE
    if not file.exists():
        raise InputError(f"{file} is missing; `dvc pull {file}` brings it, or `dvc repro` makes it")
    ours = test_predictions.read(file)
    with mlflow_store.asking("nothing was compared") as client:
        champion = _champion(client)
        if champion is None:
            return f"there is no champion of {NAME} yet; the model here would be the first"
        trial = _beside(client, champion, ours, "the model here")
    if trial.found is None:
        return f"the model here cannot be compared: {trial.obstacle}"
    would = "would become" if trial.found.low > 0 else "would not become"
    return f"the model here {would} champion: {_figures(trial, trial.found)}{_why_not(trial.found)}"


def _champion(client: MlflowClient) -> Any | None:
    """The version that is the champion."""
    number = _crowned(client)
    return client.get_model_version(NAME, number) if number else None


def _crowned(client: MlflowClient) -> str | None:
    """The champion's number."""
    found = client.search_registered_models(f"name = '{NAME}'")
    return str(found[0].aliases[ALIAS]) if found and ALIAS in found[0].aliases else None


def _tried(client: MlflowClient, run: Any, champion: Any | None) -> Trial:
    """Compare a run with the champion, where there is one and both were asked the same."""
    ours = _transcript(client, run.info.run_id)
    if ours is None:
        raise InputError(
            f"run {run.info.run_id} has no reports/{test_predictions.FILE}; with its model in models/, "
            "`dvc repro` judges it and `postergenre track` logs that"
        )
    return _beside(client, champion, ours, f"run {run.info.run_id}") if champion else Trial(None)


def _beside(client: MlflowClient, champion: Any, ours: TestPredictions, whose: str) -> Trial:
    """Hold a model's answers against the champion's; whose: the model's name in a sentence."""
    theirs = _transcript(client, champion.run_id)
    named = f"the champion, version {champion.version} (run {champion.run_id}),"
    if theirs is None:
        return Trial(champion, obstacle=f"{named} has no reports/{test_predictions.FILE}")
    if not ours.has_same_test_set(theirs):
        obstacle = f"{named} was judged on {_asked(theirs)} and {whose} on {_asked(ours)}"
        return Trial(champion, obstacle=f"{obstacle}, which are not the same")
    drawn = bootstrap.resample_counts(len(ours.imdb_ids), RESAMPLES, SEED)
    found = map_difference(ours.labels, ours.probabilities, theirs.probabilities, drawn)
    return Trial(champion, found, len(ours.imdb_ids))


def _asked(answers: TestPredictions) -> str:
    return f"{len(answers.imdb_ids):,} test posters of {len(answers.genres)} genres"


def _transcript(client: MlflowClient, run_id: str | None) -> TestPredictions | None:
    """What a run's model says of the test posters; None where the run is gone, or was not judged."""
    path = f"reports/{test_predictions.FILE}"
    if not run_id or not mlflow_store.exists(run_id):
        return None
    if path not in {file.path for file in client.list_artifacts(run_id, "reports")}:
        return None
    with tempfile.TemporaryDirectory() as folder:
        return test_predictions.read(Path(client.download_artifacts(run_id, path, folder)))


def _registered(client: MlflowClient, run: Any) -> Any:
    """The version that a run's model is, a new one where it is none yet."""
    known = client.search_model_versions(f"name = '{NAME}' and run_id = '{run.info.run_id}'")
    if known:
        return known[0]
    if not client.search_registered_models(f"name = '{NAME}'"):
        client.create_registered_model(NAME)
    model = run.outputs.model_outputs[-1].model_id
    return client.create_model_version(NAME, f"models:/{model}", run.info.run_id, model_id=model)


def _crown(client: MlflowClient, version: Any, reason: str | None, champion: Any | None) -> None:
    """Make a version champion, unless another is it by now than the one that was compared with.

    MLflow has no lock to be quite sure: one request lies between the last look and the change.
    """
    by, at = f"{username.name()}@{socket.gethostname()}", datetime.now(UTC).isoformat(timespec="seconds")
    _tag(client, version, {FORCED: reason, BY: by, AT: at})  # a version that was forced once may now be so on merit
    now = _crowned(client)
    if now != (str(champion.version) if champion else None):
        _tag(client, version, {key: version.tags.get(key) for key in (FORCED, BY, AT)})
        what = f"version {now} became the champion" if now else "the champion was taken away"
        raise InputError(f"nothing was promoted: meanwhile {what}; promote again to be compared with what is there now")
    client.set_registered_model_alias(NAME, ALIAS, version.version)


def _tag(client: MlflowClient, version: Any, tags: dict[str, str | None]) -> None:
    """Set tags of a version, and remove those that are None."""
    for key, value in tags.items():
        if value is None:
            client.delete_model_version_tag(NAME, version.version, key)
        else:
            client.set_model_version_tag(NAME, version.version, key, value)


def _promoted(run: Any, trial: Trial, version: Any, reason: str | None) -> str:
    said = f"version {version.version} of {NAME}, run {run.info.run_id}, is the champion now"
    if trial.champion is None:
        said += f", as the first one; its test mAP is {run.data.metrics['test.map']:.4f}"
    elif trial.found is None:
        said += f", and was not compared: {trial.obstacle}"
    else:
        said += f": {_figures(trial, trial.found)}"
    return said if reason is None else f"{said}. It was forced: {reason}"


def _kept(trial: Trial, version: Any) -> str:
    found, champion = trial.found, trial.champion
    assert found
    assert champion
    return (
        f"version {champion.version} of {NAME} stays the champion. Version {version.version}, run "
        f"{version.run_id}, is registered: {_figures(trial, found)}{_why_not(found)}"
    )


def _why_not(found: Difference) -> str:
    """What keeps a model from being champion; "" where nothing does."""
    if found.low > 0:
        return ""
    return ", which is no better" if found.value <= 0 else ", which may be noise"


def _figures(trial: Trial, found: Difference) -> str:
    assert trial.champion
    return (
        f"its test mAP is {found.one:.4f}, that of version {trial.champion.version} {found.other:.4f}; the difference "
        f"on {trial.posters:,} posters is {found.value:+.4f} (95 % interval {found.low:+.4f} to {found.high:+.4f})"
    )
