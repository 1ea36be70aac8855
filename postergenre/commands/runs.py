"""Commands for the runs and models in MLflow."""

import argparse
from pathlib import Path

from postergenre.commands.arguments import Add, reason


def add_commands(add: Add) -> None:
    """Add these commands to the parser."""
    _take_replay(add(track, "log a training in MLflow after the fact"))
    _take_candidate(add(promote, "make a run's model the champion"))
    add(compare, "this folder's model beside the champion")
    _take_run(add(checkout, "go back to a run"))


def track(arguments: argparse.Namespace) -> None:
    """Log the model and the reports of this folder in MLflow, after the fact; or the runs that MLflow missed."""
    configure_mlflow()
    from postergenre.tracking import replay, spool

    if arguments.replay:
        lines = replay.deliver_waiting()
        print(next(lines, f"nothing waits in {spool.FOLDER}"), flush=True)
        for line in lines:
            print(line, flush=True)
        return
    run = replay.track(Path("models"), Path("reports"))
    print(
        f"tracked as run {run.id}" if run.logged_late else f"run {run.id} has this model; what it lacked is there now"
    )


def promote(arguments: argparse.Namespace) -> None:
    """Register a run's model in MLflow as `poster-genres`; if it is better than the champion, it becomes the champion.

    Better means that the 95 % interval of the difference in test mAP, by a paired bootstrap, lies above 0.
    """
    configure_mlflow()
    from postergenre.tracking import registry

    print(registry.promote(Path("models"), arguments.run_id, arguments.force))


def compare(arguments: argparse.Namespace) -> None:
    """Compare the model that was evaluated in this folder with the champion, and change nothing."""
    configure_mlflow()
    from postergenre.tracking import registry

    print(registry.compare(Path("reports")))


def checkout(arguments: argparse.Namespace) -> None:
    """Go back to a run in MLflow: its params.yaml, dvc.lock and reports, and from DVC's cache or remote its outputs.

    Code stays as it is; the output names the run's commit.
    """
    configure_mlflow()
    from postergenre.tracking import restore

    print(restore.checkout(arguments.run, Path("models")))


def _take_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--replay", action="store_true", help="deliver the runs that wait in mlflow-spool/, the oldest first"
    )


def _take_candidate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run_id", nargs="?", metavar="RUN_ID", help="a run in MLflow (default: that of the model in models/)"
    )
    parser.add_argument(
        "--force", type=reason, metavar="REASON", help="promote whatever the comparison gives; REASON is kept"
    )


def _take_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN_ID", help="a run in MLflow, or models:/NAME@ALIAS")


def configure_mlflow() -> None:
    from postergenre.networks import backend
    from postergenre.tracking import mlflow_settings

    mlflow_settings.configure(mlflow_settings.COMMAND_TIMEOUT)
    backend.start()  # MLflow may load a Keras model
