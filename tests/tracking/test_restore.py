"""`postergenre checkout`: a workspace goes back to a run, in real DVC and git repositories with a real MLflow store.

The stages are small scripts whose runs log what the project's own do, but for the Keras model, which takes long;
test_pipeline.py has a test of the project's own.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml
from dvc.cli import main as dvc
from dvc.exceptions import CheckoutError
from dvc.repo import Repo

from postergenre.tracking import mlflow_store, run_queries
from tests import support
from tests.support import ROOT, command, encode, make_picture

DVC = {
    "stages": {
        "prepare": {
            "cmd": "python prepare.py",
            "deps": ["prepare.py"],
            "params": ["prepare"],
            "outs": ["data/resized"],
            "metrics": [{"reports/scrape.json": {"cache": False}}],
        },
        "train": {
            "cmd": "python train.py",
            "deps": ["train.py", "data/resized"],
            "params": ["train"],
            "outs": ["models"],
        },
        "evaluate": {
            "cmd": "python evaluate.py",
            "deps": ["evaluate.py", "models", "reports/scrape.json"],
            "params": ["evaluate"],
            "outs": ["reports/report.html"],
            "metrics": [{"reports/metrics.json": {"cache": False}}],
            "plots": [{"reports/plots/reliability.csv": {"cache": False}}],
        },
    }
}
HEAD = """
import json, shutil, subprocess
from pathlib import Path
import yaml
from postergenre import files
params = yaml.safe_load(Path("params.yaml").read_text())
"""
SCRIPTS = {
    "prepare": """
Path("data/resized").mkdir(parents=True)
Path("data/resized/posters").write_text("poster " * params["prepare"]["posters"])
files.write_json(Path("reports/scrape.json"), {"status": {"ok": params["prepare"]["posters"]}})
""",
    "train": """
import mlflow
from postergenre.dvc_project import lockfile
from postergenre.tracking import mlflow_store, run_queries
cut = params["train"]["cut"]
shutil.copytree("trained", "models")
parts = [Path("models/weights.weights.h5"), Path("models/architecture.json")]
parts[1].write_text(parts[1].read_text() + " " * int(cut * 10))  # a network of its own for each cut
model = files.sha256(*parts)
files.write_json(Path("models/run.json"), files.read_json(Path("models/run.json"), "") | {"model": model})
cuts = files.read_json(Path("models/thresholds.json"), "")
files.write_json(Path("models/thresholds.json"), cuts | {"genres": dict.fromkeys("ABC", cut)})
experiment = mlflow_store.connect()
head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
tags = {"git.commit": head, "git.dirty": "false"}
with mlflow.start_run(experiment_id=experiment, tags=tags):
    mlflow.log_artifact("models/run.json", "models")
    mlflow.log_artifact("params.yaml")
    mlflow.log_text(lockfile.predict(), "dvc.lock")
    mlflow.set_tag(run_queries.MODEL_TAG, model)
""",
    "evaluate": """
from postergenre.tracking import runs
value = files.read_json(Path("models/thresholds.json"), "")["genres"]["A"] * params["evaluate"]["factor"]
Path("reports/plots").mkdir(parents=True, exist_ok=True)
files.write_json(Path("reports/metrics.json"), {"map": value})
Path("reports/plots/reliability.csv").write_text(f"probability,share\\n{value},1\\n")
Path("reports/report.html").write_text(f"<html>{value}</html>")
with runs.evaluation_run(Path("models")) as run:
    run.log_evaluation(Path("reports"))
""",
}
PARAMS: dict[str, Any] = {"prepare": {"posters": 3}, "train": {"cut": 0.0}, "evaluate": {"factor": 1.0}}
ME = {f"GIT_{who}_{what}": "t@t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
Runs = tuple[Path, str, str]


def run(folder: Path, *words: str) -> str:
    done = support.run(*words, cwd=folder, env=ME | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def choose(folder: Path, **changes: dict[str, Any]) -> None:
    """params.yaml, with a comment that nothing but a copy of the file keeps."""
    text = yaml.safe_dump(PARAMS | changes)
    (folder / "params.yaml").write_text(f"# chosen: {sorted(changes)}\n{text}")


def commit(folder: Path) -> str:
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "t")
    return run(folder, "git", "rev-parse", "HEAD").strip()


def newest_run(folder: Path) -> str:
    return str(runs(folder)[0].info.run_id)


def runs(folder: Path) -> list[Any]:
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    return list(client.search_runs(["1"], order_by=["attributes.start_time DESC"]))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Runs:
    """A project after two runs, each with its commit, and the runs' ids. The tests work in copies."""
    folder = tmp_path_factory.mktemp("made")
    for name in (".gitattributes", ".dvcignore", ".dvc/.gitignore", ".dvc/config"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    ignored = ["/data/resized", "/models", "/reports/report.html", "/mlflow.db*", "/mlruns/", "__pycache__/"]
    (folder / ".gitignore").write_text("\n".join(ignored) + "\n")
    (folder / "dvc.yaml").write_text(yaml.safe_dump(DVC, sort_keys=False))
    for name, script in SCRIPTS.items():
        (folder / f"{name}.py").write_text(HEAD + script)
    shutil.copytree(models, folder / "trained")
    (folder / "a.jpg").write_bytes(encode(make_picture(1)))
    run(folder, "git", "init", "-q", "-b", "main")
    choose(folder)
    ids = []
    both: list[dict[str, Any]] = [{}, {"prepare": {"posters": 4}, "train": {"cut": 1.0}}]
    for changes in both:
        choose(folder, **changes)
        commit(folder)
        run(folder, "dvc", "repro", "-q")
        commit(folder)
        ids.append(newest_run(folder))
    return folder, ids[0], ids[1]


@pytest.fixture
def project(made: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    folder = shutil.copytree(made[0], tmp_path / "project", symlinks=True)
    monkeypatch.chdir(folder)
    return folder, made[1], made[2]


def state(folder: Path) -> dict[str, bytes]:
    """All files that a run makes, and params.yaml."""
    files = [folder / "params.yaml", folder / "dvc.lock"]
    files += [file for name in ("data", "models", "reports") for file in (folder / name).rglob("*") if file.is_file()]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def cut(folder: Path) -> float:
    """The param that tells the models apart."""
    return float(json.loads((folder / "models/thresholds.json").read_text())["genres"]["A"])


def committed(folder: Path, revision: str, name: str) -> bytes:
    return run(folder, "git", "show", f"{revision}:{name}").encode()


def answers(capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    assert command("predict", "a.jpg", "--json") == 0
    return json.loads(capsys.readouterr().out)[0]["predicted"]


def status() -> dict[str, Any]:
    with Repo() as repo:
        changes: dict[str, Any] = repo.status()
    return changes


def cached(folder: Path, path: str, revision: str) -> Path:
    """The object of an output in the cache."""
    lock = yaml.safe_load(committed(folder, revision, "dvc.lock"))["stages"]
    (md5,) = (str(out["md5"]) for stage in lock.values() for out in stage["outs"] if out["path"] == path)
    return folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def refused(folder: Path, run_id: str, *sentences: str) -> None:
    """The command ends with one sentence, and all is as it was."""
    before, index = state(folder), run(folder, "git", "status", "--porcelain")
    output = str(command("checkout", run_id))
    assert output.startswith("error: ")
    assert "\n" not in output
    assert all(sentence in output for sentence in sentences), output
    assert state(folder) == before
    assert run(folder, "git", "status", "--porcelain") == index


def test_a_run_keeps_the_dvc_lock_that_dvc_writes_after_it(project: Runs, tmp_path: Path) -> None:
    folder, *ids = project
    mlflow_store.connect()
    for run_id, revision in zip(ids, ("HEAD~2", "HEAD"), strict=True):
        for name in ("dvc.lock", "params.yaml"):
            logged = Path(mlflow.MlflowClient().download_artifacts(run_id, name, str(tmp_path))).read_bytes()
            assert logged == committed(folder, revision, name)


def test_a_run_comes_back_whole_and_one_goes_back_from_it(project: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    folder, first, second = project
    before = state(folder)
    assert answers(capsys) == []
    assert command("checkout", first) == 0
    output = capsys.readouterr().out
    assert f"{first} is restored: params.yaml dvc.lock reports/scrape.json" in output
    assert "data/resized models reports/report.html\n" in output
    for name in ("params.yaml", "dvc.lock", "reports/metrics.json", "reports/scrape.json"):
        assert (folder / name).read_bytes() == committed(folder, "HEAD~2", name)
    assert (folder / "data/resized/posters").read_text() == "poster poster poster "
    assert cut(folder) == 0.0
    assert (folder / "reports/report.html").read_text() != before["reports/report.html"].decode()
    assert answers(capsys) == ["A", "B", "C"]
    assert status() == {}
    assert f"commit  {run(folder, 'git', 'rev-parse', 'HEAD~3').strip()}\n" in output
    assert "code that differs" not in output
    back = output.split("back    ")[1].strip()
    assert back.startswith("git checkout ")
    run(folder, "bash", "-c", back)
    assert state(folder) == before
    assert run(folder, "git", "status", "--porcelain") == ""
    assert command("checkout", second) == 0
    assert capsys.readouterr().out.endswith("\nback    nothing changed\n")
    (folder / "reports/report.html").unlink()
    assert command("checkout", second) == 0
    assert capsys.readouterr().out.endswith("\nback    dvc.lock was the run's; new is only reports/report.html\n")
    assert state(folder) == before


def test_the_champion_comes_back_by_its_alias(project: Runs) -> None:
    folder, first, _ = project
    mlflow_store.connect()
    client = mlflow.MlflowClient()
    client.create_registered_model("poster-genres")
    client.create_model_version("poster-genres", f"runs:/{first}/model", first)
    client.set_registered_model_alias("poster-genres", "champion", "1")
    for name in ("models:/poster-genres@champion", "models:/poster-genres/1"):
        assert command("checkout", name) == 0
        assert cut(folder) == 0.0
        run(folder, "git", "checkout", "-q", ".")
        assert dvc(["checkout", "-q"]) == 0
    refused(folder, "models:/poster-genres@nobody", "nothing was restored: MLflow at sqlite:///", "nobody")
    for name in ("", "models:/x/y", "models:/poster-genres", "models:/@champion", "models:poster-genres/1"):
        refused(folder, name, f"{name!r} should be a run's id, models:/NAME@ALIAS or models:/NAME/VERSION, a number")


def test_what_neither_cache_nor_remote_has_is_named_and_nothing_changes(project: Runs) -> None:
    folder, first, _ = project
    listing = json.loads(cached(folder, "models", "HEAD~2").read_text())
    (cuts,) = (entry["md5"] for entry in listing if entry["relpath"] == "thresholds.json")
    lost = {
        cached(folder, "models", "HEAD~2"): "has models (stage train) of run",
        folder / ".dvc/cache/files/md5" / cuts[:2] / cuts[2:]: "has models (stage train) of run",
        cached(folder, "data/resized", "HEAD~2"): "has data/resized (stage prepare) of run",
        cached(folder, "reports/report.html", "HEAD~2"): "has reports/report.html (stage evaluate) of run",
    }
    for file, output in lost.items():
        file.rename(folder / ".dvc/tmp/away")
        refused(folder, first, "neither DVC's cache nor a remote nor MLflow", output, "`postergenre push`")
        (folder / ".dvc/tmp/away").rename(file)
    assert dvc(["remote", "add", "-q", "--local", "-d", "team", str(folder / ".dvc/tmp/remote")]) == 0
    file.unlink()
    refused(folder, first, "neither DVC's cache nor a remote nor MLflow", output)


def test_what_is_never_pushed_may_be_missing_and_its_stage_is_named(
    project: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, first, _ = project
    pipeline = yaml.safe_load((folder / "dvc.yaml").read_text())
    pipeline["stages"]["prepare"]["outs"] = [{"data/resized": {"push": False}}]
    (folder / "dvc.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))
    cached(folder, "data/resized", "HEAD~2").unlink()
    assert command("checkout", first) == 0
    assert "data/resized is never pushed; `dvc repro` makes it" in capsys.readouterr().out
    assert cut(folder) == 0.0
    assert "prepare" in status()


def test_what_only_the_remote_has_is_fetched(project: Runs, tmp_path: Path) -> None:
    folder, first, _ = project
    assert dvc(["remote", "add", "-q", "--local", "-d", "team", str(tmp_path / "remote")]) == 0
    assert dvc(["push", "-q", "--all-commits"]) == 0
    for path in (".dvc/cache", "data", "models", "reports"):
        shutil.rmtree(folder / path)
    run(folder, "git", "checkout", "-q", ".")
    assert command("checkout", first) == 0
    assert cut(folder) == 0.0
    assert status() == {}


def test_a_remote_that_fails_costs_a_sentence(project: Runs) -> None:
    folder, first, _ = project
    assert dvc(["remote", "add", "-q", "--local", "-d", "team", "ssh://127.0.0.1:9/nowhere"]) == 0
    shutil.rmtree(folder / ".dvc/cache")
    refused(folder, first, "DVC's remote failed (")


def test_what_is_not_committed_is_not_overwritten(project: Runs) -> None:
    folder, first, _ = project
    for name in ("params.yaml", "dvc.lock", "reports/metrics.json"):
        with (folder / name).open("a") as stream:
            stream.write("\n")
        refused(folder, first, f"{name} would be overwritten and is not committed", f"git checkout {name} && dvc check")
        run(folder, "git", "add", name)
        refused(folder, first, f"{name} would be overwritten")
        run(folder, "git", "rm", "-q", "--cached", name)
        refused(folder, first, f"{name} would be overwritten")
        run(folder, "git", "reset", "-q", "--hard")


def test_without_git_nothing_is_overwritten(project: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, first, _ = project
    before = state(folder)
    monkeypatch.setenv("PATH", str(folder / ".dvc"))
    output = str(command("checkout", first))
    assert output.startswith("error: nothing was restored: git is not installed, or not on PATH")
    assert state(folder) == before


def test_a_model_that_no_cache_has_is_not_overwritten(project: Runs) -> None:
    folder, first, _ = project
    (folder / "models/thresholds.json").unlink()
    (folder / "models/thresholds.json").write_text("mine")
    refused(folder, first, "models/thresholds.json would be overwritten; `dvc commit` keeps")


def test_other_code_than_the_runs_is_named_with_its_commit(project: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    folder, first, _ = project
    with (folder / "train.py").open("a") as stream:
        stream.write("# an afterthought\n")
    commit(folder)
    assert command("checkout", first) == 0
    output = capsys.readouterr().out
    assert "code that differs from the run's: train.py\n" in output
    then = output.split("go back first, then `")[1].split("`")[0]
    assert then.endswith(f" && postergenre checkout {first}")
    run(folder, "bash", "-c", output.split("back    ")[1])
    run(folder, "bash", "-c", then.split(" && ")[0])
    capsys.readouterr()
    assert command("checkout", first) == 0
    assert "code that differs" not in capsys.readouterr().out
    assert status() == {}


def test_a_file_that_was_not_there_goes_again(project: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    folder, first, _ = project
    run(folder, "git", "rm", "-q", "reports/plots/reliability.csv")
    commit(folder)
    assert command("checkout", first) == 0
    assert (folder / "reports/plots/reliability.csv").exists()
    back = capsys.readouterr().out.split("back    ")[1]
    assert " && rm reports/plots/reliability.csv && dvc checkout" in back
    run(folder, "bash", "-c", back)
    assert run(folder, "git", "status", "--porcelain") == ""


def test_a_run_that_was_not_judged_comes_back_as_far_as_it_went(
    project: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _, _ = project
    choose(folder, train={"cut": 0.5}, prepare={"posters": 5})
    commit(folder)
    run(folder, "dvc", "repro", "-q", "train")
    commit(folder)
    assert command("track") == 0
    trained = newest_run(folder)
    assert "test.map" not in runs(folder)[0].data.metrics  # the reports here are of the model before
    run(folder, "git", "checkout", "-q", "HEAD~2", "--", "params.yaml", "dvc.lock", "reports")
    commit(folder)
    assert dvc(["checkout", "-q"]) == 0
    assert command("checkout", trained) == 0
    assert "it has no outputs of evaluate; `dvc repro` makes them\n" in capsys.readouterr().out
    assert cut(folder) == 0.5
    assert json.loads((folder / "reports/scrape.json").read_text()) == {"status": {"ok": 5}}
    assert "evaluate" not in yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    assert [*status()] == ["evaluate"]


def test_what_is_no_run_or_holds_no_lock_of_its_own_is_refused(project: Runs) -> None:
    folder, _, deleted = project
    for unknown in ("0" * 32, "../etc", "é", "0" * 300):
        refused(folder, unknown, f"has no run {unknown}")
    refused(folder, "models:/poster-genres@nobody", "answered (")
    mlflow_store.connect()
    with mlflow.start_run(tags={run_queries.MODEL_TAG: "cut at 0.5"}) as by_hand:
        pass
    refused(folder, by_hand.info.run_id, f"run {by_hand.info.run_id} does not hold the dvc.lock of its own training")
    with mlflow.start_run(
        tags={run_queries.MODEL_TAG: "cut at 0.5"}
    ) as early:  # dvc.lock was that of the training before
        for name in ("params.yaml", "dvc.lock"):
            mlflow.log_artifact(name)
        mlflow.log_text("{}", "models/run.json")
    refused(folder, early.info.run_id, f"run {early.info.run_id} does not hold the dvc.lock of its own training")
    mlflow.delete_run(deleted)
    refused(folder, deleted, "or it was deleted")


def test_a_stage_that_is_here_no_more_sends_one_to_the_commit(project: Runs) -> None:
    folder, first, _ = project
    text = (folder / "dvc.yaml").read_text()
    (folder / "dvc.yaml").write_text(text.replace("models", "network"))
    refused(folder, first, "the run has models, which no stage of dvc.yaml makes here", "git checkout ")


def test_it_says_where_to_go_outside_of_a_project(project: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, first, _ = project
    monkeypatch.chdir(folder / "models")
    assert "is not the project's folder; run this in " in str(command("checkout", first))
    monkeypatch.chdir(folder.parent)
    assert "is in no DVC project" in str(command("checkout", first))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), CheckoutError(["models"], {})], ids=["interrupt", "failure"])
def test_a_checkout_that_breaks_off_changes_nothing(
    project: Runs, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, first, _ = project
    before, whole = state(folder), Repo.checkout

    def broken(repo: Repo, *given: Any, **options: Any) -> None:
        whole(repo, *given, **options)
        assert state(folder) != before
        monkeypatch.setattr(Repo, "checkout", whole)  # what puts all back works
        raise error

    monkeypatch.setattr(Repo, "checkout", broken)
    output = command("checkout", first)
    assert output == (
        130
        if isinstance(error, KeyboardInterrupt)
        else "error: nothing was restored: Checkout failed for following targets: models Is your cache up to date? "
        "<https://error.dvc.org/missing-files>"
    )
    assert state(folder) == before
    assert run(folder, "git", "status", "--porcelain") == ""


def elsewhere(folder: Path) -> None:
    """The same project on a server that knows none of its runs."""
    for file in folder.glob("mlflow.db*"):
        file.unlink()


def restored(folder: Path) -> tuple[str, bytes]:
    """The only run, which was made after the fact, and its dvc.lock."""
    (run_,) = runs(folder)
    assert run_.data.tags["postergenre.logged_late"] == "true"
    assert run_queries.MODEL_TAG in run_.data.tags  # it is whole
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    return run_.info.run_id, Path(client.download_artifacts(run_.info.run_id, "dvc.lock")).read_bytes()


def test_a_training_from_the_run_cache_is_logged_as_restored_by_evaluate(project: Runs) -> None:
    folder, _, _ = project
    elsewhere(folder)
    choose(folder, evaluate={"factor": 2.0})
    output = run(folder, "dvc", "repro")
    assert output.count("is cached - skipping run") == 2
    assert output.count("Running stage") == 1
    _, lock = restored(folder)
    assert lock == (folder / "dvc.lock").read_bytes()


def test_where_evaluate_is_skipped_too_track_logs_it_as_restored(
    project: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _, _ = project
    elsewhere(folder)
    shutil.rmtree(folder / "models")
    assert "Running stage" not in run(folder, "dvc", "repro")
    assert not (folder / "mlflow.db").exists()  # none of our code has run
    assert command("track") == 0
    run_id, lock = restored(folder)
    assert lock == (folder / "dvc.lock").read_bytes()
    choose(folder, train={"cut": 0.0})
    commit(folder)
    run(folder, "dvc", "repro", "-q", "train")
    commit(folder)
    assert command("checkout", run_id) == 0
    assert status() == {}


def test_another_evaluation_does_not_replace_what_a_run_holds(project: Runs) -> None:
    folder, _, second = project
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")

    def contents() -> tuple[Any, bytes]:
        return client.get_run(second).to_dictionary(), Path(client.download_artifacts(second, "dvc.lock")).read_bytes()

    before = contents()
    choose(folder, prepare={"posters": 4}, train={"cut": 1.0}, evaluate={"factor": 9.0})
    assert run(folder, "dvc", "repro").count("Running stage") == 1
    assert contents() == before
    newest = runs(folder)[0]
    assert (newest.data.metrics["test.map"], newest.data.params["evaluate.factor"]) == (9.0, "9.0")
    assert newest.data.tags["postergenre.logged_late"] == "true"
    lock = client.download_artifacts(newest.info.run_id, "dvc.lock")
    assert Path(lock).read_bytes() == (folder / "dvc.lock").read_bytes()


def test_what_was_changed_since_does_not_replace_what_a_run_holds(project: Runs, tmp_path: Path) -> None:
    folder, _, second = project
    choose(folder, train={"cut": 0.3})
    assert command("track") == 0
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    logged = Path(client.download_artifacts(second, "params.yaml", str(tmp_path))).read_bytes()
    assert logged == committed(folder, "HEAD", "params.yaml")
