"""`postergenre promote`: which run's model is the champion in MLflow's registry."""

import gzip
import json
import os
import shutil
import socket
import threading
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest

from postergenre.data.split_tables import Split
from postergenre.errors import InputError
from postergenre.evaluation import test_predictions
from postergenre.evaluation.model_difference import map_difference
from postergenre.prediction import pictures, predictor
from postergenre.tracking import mlflow_store, spool
from tests import support
from tests.factories import make_test_split, write_reports
from tests.support import ROOT, command, encode, make_picture
from tests.tracking.trainings import training

POSTERS = 150  # of `make_test_split`


@pytest.fixture
def project(in_project: Path, models: Path, empty_store: Path) -> Path:
    """A project with a trained model, and no run of it yet."""
    (in_project / "models").symlink_to(models)
    shutil.copy(empty_store, in_project / "mlflow.db")
    return in_project


def run(project: Path, strength: float, test: Split | None = None, seed: int = 2) -> str:
    """A run as the train and evaluate stages log it."""
    with training(json.loads((project / "models/run.json").read_text())) as trained:
        trained.log_training(project / "models")
        trained.log_evaluation(write_reports(project, strength, test or make_test_split(), seed))
    assert trained.id
    return trained.id


def champion() -> str:
    version = mlflow.MlflowClient().get_model_version_by_alias("poster-genres", "champion")
    return str(version.run_id)


def versions() -> dict[str, str]:
    """Run by version."""
    return {str(version.version): version.run_id for version in mlflow.MlflowClient().search_model_versions()}


def test_a_run_becomes_champion_only_where_it_is_better_by_more_than_noise(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, better, same = run(project, 0.2), run(project, 0.5), run(project, 0.5, seed=3)
    assert command("promote", first) == 0
    output = capsys.readouterr().out
    named = f"version 1 of poster-genres, run {first},"
    assert output == f"{named} is the champion now, as the first one; its test mAP is 0.0200\n"
    assert command("promote", better) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"version 2 of poster-genres, run {better}, is the champion now: its test mAP is 0.")
    assert ", that of version 1 0." in output
    assert f"the difference on {POSTERS} posters is +0." in output
    assert "(95 % interval +0." in output
    assert champion() == better
    assert command("promote", same) == 0
    output = capsys.readouterr().out
    assert output.startswith(
        f"version 2 of poster-genres stays the champion. Version 3, run {same}, is registered: its"
    )
    assert "(95 % interval -0." in output
    assert champion() == better
    assert command("promote", first) == 0
    assert capsys.readouterr().out.endswith(", which is no better\n")
    assert champion() == better
    assert versions() == {"1": first, "2": better, "3": same}


def test_a_comparison_says_what_a_promotion_would_do_and_changes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(project, 0.5)
    assert command("compare") == 0
    output = capsys.readouterr().out
    assert output == "there is no champion of poster-genres yet; the model here would be the first\n"
    assert command("promote") == 0
    expected = {0.5: " would not become ", 0.1: ", which is no better", 2.0: " would become champion: its test mAP "}
    for strength, words in expected.items():
        write_reports(project, strength, make_test_split(), seed=3)
        capsys.readouterr()
        assert command("compare") == 0
        output = capsys.readouterr().out
        assert words in output
        assert output.startswith("the model here would ")
        assert output.count("\n") == 1
    write_reports(project, 2.0, make_test_split(first=1000))
    assert command("compare") == 0
    assert "the model here cannot be compared: the champion, version 1 " in capsys.readouterr().out
    assert (len(versions()), champion()) == (1, versions()["1"])
    (project / "reports" / test_predictions.FILE).unlink()
    assert "reports/test_predictions.csv.gz is missing; `dvc pull " in str(command("compare"))


def test_promoting_the_champion_again_changes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = run(project, 0.5)
    assert command("promote") == 0
    before = mlflow.MlflowClient().get_model_version("poster-genres", "1")
    capsys.readouterr()
    for more in ([], ["--force", "again"]):
        assert command("promote", first, *more) == 0
        output = capsys.readouterr().out
        assert output == f"run {first} is the champion already, version 1; nothing was changed\n"
    after = mlflow.MlflowClient().get_model_version("poster-genres", "1")
    assert (after.tags, after.last_updated_timestamp) == (before.tags, before.last_updated_timestamp)
    assert versions() == {"1": first}


def test_an_empty_id_is_refused_though_there_is_a_model_here(project: Path) -> None:
    run(project, 0.5)
    for empty in ("", " "):
        assert command("promote", empty) == (
            f"error: RUN_ID is {empty!r}; it should be a run's id, or left out for the model in models"
        )
    assert versions() == {}


def test_without_an_id_it_is_the_newest_run_of_the_model_here(project: Path) -> None:
    run(project, 0.5)
    last = run(project, 0.6)
    assert command("promote") == 0
    assert champion() == last


def test_models_are_compared_on_the_films_and_genres_that_both_know(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test, before = make_test_split(first=31), make_test_split()
    test.labels[:120] = before.labels[30:]  # a film keeps its genres, whichever others are tested
    test.labels[:3] = 1 - test.labels[:3]
    test.genres[2:] = ["D"]
    first, better = run(project, 0.2), run(project, 0.5, test)
    assert command("promote", first) == 0
    capsys.readouterr()
    basis = (
        "on the 120 test posters of 2 genres that both know (left out, of its own and of version 1's: 30 and 30 "
        "posters, "
        "1 and 1 genres; genres differ for 3 of them, and its own count), its test mAP is 0."
    )
    assert command("compare") == 0
    assert capsys.readouterr().out.startswith(f"the model here would become champion: {basis}")
    assert command("promote", better) == 0
    output = capsys.readouterr().out
    assert f"is the champion now: {basis}" in output
    assert "the difference on 120 posters is +0." in output
    assert champion() == better


def test_models_with_too_little_in_common_are_not_compared(project: Path) -> None:
    first, relabelled = run(project, 0.5), make_test_split()
    relabelled.labels[:80] = 1 - relabelled.labels[:80]
    assert command("promote", first) == 0
    obstacles = {
        run(
            project, 2.0, make_test_split(first=52)
        ): "both on only 99 test posters of 3 genres (the fewest are 100 with",
        run(project, 2.0, relabelled): "know 150 films by the same ids, but 80 of them have different genres, so that",
    }
    for other, obstacle in obstacles.items():
        output = str(command("promote", other))
        assert output.startswith(f"error: the champion, version 1 (run {first}), ")
        assert obstacle in output
        assert output.endswith("train and evaluate both on one dataset, or promote with --force REASON")
    assert (champion(), versions()) == (first, {"1": first})


def test_a_forced_promotion_keeps_its_reason_and_who_and_when(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, worse, elsewhere = run(project, 2.0), run(project, 0.1), run(project, 0.5, make_test_split(first=1000))
    for number, (name, output) in enumerate(
        {good: "the first", worse: "(95 % interval -", elsewhere: "not compared"}.items(), 1
    ):
        assert command("promote", name, "--force", f" reason {number} ") == 0
        out = capsys.readouterr().out
        assert output in out
        assert out.endswith(f". It was forced: reason {number}\n")
        assert champion() == name
        tags = mlflow.MlflowClient().get_model_version("poster-genres", str(number)).tags
        assert tags["postergenre.forced"] == f"reason {number}"
        assert tags["postergenre.promoted_by"].endswith(f"@{socket.gethostname()}")
        assert tags["postergenre.promoted_at"].endswith("+00:00")
    assert command("promote", good, "--force", "") == 2


def test_a_version_that_is_crowned_on_merit_is_forced_no_more(project: Path) -> None:
    worse, good = run(project, 0.1), run(project, 2.0)
    for name, more in ((good, ["--force", "first"]), (worse, ["--force", "to try"]), (good, [])):
        assert command("promote", name, *more) == 0
        assert champion() == name
    tags = mlflow.MlflowClient().get_model_version("poster-genres", "1").tags
    assert sorted(tags) == ["postergenre.promoted_at", "postergenre.promoted_by"]


@pytest.mark.parametrize("more", [[], ["--force", "reason"]], ids=["on merit", "forced"])
def test_a_champion_that_another_promotion_makes_meanwhile_stays(
    project: Path, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    first, good, better = run(project, 0.2), run(project, 0.5), run(project, 2.0)
    assert command("promote", first) == 0

    def slow(*given: Any) -> Any:
        monkeypatch.setattr("postergenre.tracking.registry.map_difference", map_difference)
        assert command("promote", better) == 0
        return map_difference(*given)

    monkeypatch.setattr("postergenre.tracking.registry.map_difference", slow)
    assert command("promote", good, *more) == (
        "error: nothing was promoted: meanwhile version 2 became the champion; "
        "promote again to compare with the champion of now"
    )
    assert champion() == better
    assert not {"postergenre.forced", "postergenre.promoted_by"} & {
        *mlflow.MlflowClient().get_model_version("poster-genres", "3").tags
    }


def test_a_champion_of_an_earlier_version_is_compared_by_the_old_name_of_its_predictions(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(test_predictions, "FILE", "test_answers.csv.gz")
        first = run(project, 0.2)
    shutil.rmtree(project / "reports")
    better = run(project, 0.5)
    assert command("promote", first) == 0
    assert command("promote", better) == 0
    assert f"run {better}, is the champion now: its test mAP is 0." in capsys.readouterr().out


def test_a_run_that_cannot_be_champion_is_refused_in_a_sentence_and_not_registered(project: Path) -> None:
    about = json.loads((project / "models/run.json").read_text())
    with training(about) as trained:
        trained.log_training(project / "models")
    with pytest.raises(ValueError, match="the training"), training(about) as failed:
        raise ValueError("the training")
    with mlflow.start_run() as foreign:
        pass
    running = mlflow.MlflowClient().create_run("1").info.run_id
    deleted = run(project, 0.5)
    mlflow.delete_run(deleted)
    refused = {
        trained.id: "has no reports/test_predictions.csv.gz; with its model in models/, `dvc repro` evaluates it",
        failed.id: "is FAILED; it should have FINISHED",
        running: "is RUNNING; it should have FINISHED",
        foreign.info.run_id: "holds no model of this project",
        deleted: "or it was deleted",
        "0" * 32: "has no run 00000000000000000000000000000000",
        "a/../b": "has no run a/../b",
    }
    for name, output in refused.items():
        for more in ([], ["--force", "reason"]):
            answer = str(command("promote", str(name), *more))
            assert answer.startswith("error: ")
            assert output in answer
            assert "\n" not in answer
    assert versions() == {}


def test_a_champion_without_a_transcript_is_beaten_only_by_force(project: Path) -> None:
    good, first = run(project, 2.0), run(project, 0.5)
    assert command("promote", first) == 0
    mlflow.delete_run(first)
    assert f"version 1 (run {first}), has no reports/test_predictions.csv.gz" in str(command("promote", good))
    assert versions() == {"1": first}
    assert command("promote", good, "--force", "its run was deleted") == 0
    assert champion() == good


def test_without_a_store_a_server_or_a_run_it_says_so(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mlflow.db").unlink()
    assert "nothing was promoted: " in str(command("promote"))
    assert f"{project} has no mlflow.db, which `dvc repro` creates, and MLFLOW_TRACKING_URI names no server" in str(
        command("promote", "0" * 32)
    )
    assert not Path("mlflow.db").exists()
    mlflow_store.connect()
    assert "has no finished training of the model in models; `postergenre track` logs it" in str(command("promote"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://films:secret@127.0.0.1:9")
    assert command("promote") == (
        "error: nothing was promoted: MLflow at http://127.0.0.1:9 failed (Connection refused)"
    )


def test_a_store_that_is_broken_is_reported_in_a_sentence(project: Path) -> None:
    Path("mlflow.db").write_bytes(b"this is no database" * 1000)
    output = str(command("promote"))
    assert output.startswith("error: nothing was promoted: MLflow at sqlite:///")
    assert "\n" not in output


def test_it_does_not_wait_for_tensorflow(project: Path) -> None:
    first = run(project, 0.5)
    assert command("promote", run(project, 0.1)) == 0
    (project / "poison").mkdir()
    for slow in ("keras", "tensorflow", "torch"):
        (project / f"poison/{slow}.py").write_text(f"raise ImportError('a promotion needs no {slow}')")
    path = f"{project / 'poison'}{os.pathsep}{ROOT}"
    done = support.run("postergenre", "promote", first, cwd=project, env={"PYTHONPATH": path})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"version 2 of poster-genres, run {first}, is the champion now: ")


def test_a_server_that_is_not_mlflows_is_recognised(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # It serves files, and has none of those that MLflow is asked for.
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        output = command("promote", "0" * 32)
        server.shutdown()
    assert output == f"error: nothing was promoted: {uri} is no MLflow server; MLFLOW_TRACKING_URI should name one"


def test_from_a_real_server_the_champion_answers(
    server: str,
    project: Path,
    models: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (project / "mlflow.db").unlink()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "a.jpg").write_bytes(encode(make_picture(1)))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")  # a machine may be busy
    for strength, more in ((0.5, []), (2.0, []), (0.5, ["--force", "to go back"])):
        made = run(project, strength)
        assert command("promote", *more) == 0
        assert champion() == made
    environment = {"MLFLOW_TRACKING_URI": server, "PYTHONPATH": str(ROOT)}
    question = ("predict", "a.jpg", "--json", "--model", "models:/poster-genres@champion")
    done = support.run("postergenre", *question, cwd=elsewhere, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    (answer,) = json.loads(done.stdout)
    ((_, expected),) = predictor.load(models).predict_pictures([pictures.from_file(str(elsewhere / "a.jpg"))])
    assert not isinstance(expected, str)
    np.testing.assert_allclose([answer["genres"][genre] for genre in "ABC"], expected.probabilities, atol=1e-4)
    assert {file.name for folder in (project, elsewhere) for file in folder.glob("ml*")} == {"mlflow-spool"}
    assert not spool.keys(project / "mlflow-spool")


def test_a_transcript_is_read_as_it_was_written_and_written_alike(tmp_path: Path) -> None:
    test = make_test_split()
    probabilities = np.random.default_rng(5).random((POSTERS, 3)).astype(np.float32)
    for name in ("one.csv.gz", "two.csv.gz"):
        test_predictions.write(tmp_path / name, test, probabilities)
    predictions = test_predictions.read(tmp_path / "one.csv.gz")
    assert (predictions.film_ids, predictions.genres) == (test.film_ids, ["A", "B", "C"])
    np.testing.assert_array_equal(predictions.labels, test.labels)
    np.testing.assert_array_equal(predictions.probabilities, probabilities)
    assert (tmp_path / "one.csv.gz").read_bytes() == (tmp_path / "two.csv.gz").read_bytes()
    earlier = gzip.decompress((tmp_path / "one.csv.gz").read_bytes()).replace(b"film_id", b"imdb_id", 1)
    (tmp_path / "earlier.csv.gz").write_bytes(gzip.compress(earlier))
    assert test_predictions.read(tmp_path / "earlier.csv.gz").film_ids == test.film_ids


def test_what_is_no_transcript_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "answers.csv.gz"
    test_predictions.write(file, make_test_split(), np.zeros((POSTERS, 3)))
    whole = file.read_bytes()
    for broken in (b"", b"film_id,genres,A\n", whole[: len(whole) // 2], whole[:40] + b"???" + whole[43:]):
        file.write_bytes(broken)
        with pytest.raises(InputError, match=r"^answers\.csv\.gz cannot be read: "):
            test_predictions.read(file)
    file.write_bytes(gzip.compress(b"film_id,row,A\ntt1,1,0.5\n"))
    with pytest.raises(InputError, match=r"has the columns film_id, row, A; it should have film_id, genres"):
        test_predictions.read(file)
