"""How MLflow behaves in this process. This module does not import MLflow, which reads some settings at its import."""

import logging
import os

# Seconds that one request may take. A stage has its own work to go on with; a command does nothing else, and may have
# a whole model to send.
STAGE_TIMEOUT, COMMAND_TIMEOUT = 5, 30

SETTINGS = {
    # A retry could create a run twice, and with MLflow's own 7 a server that is down holds up a command for minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # A failure reaches us as an exception, and becomes one sentence of ours; MLflow would log it as well.
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
}


def configure(timeout: int) -> None:
    """Set MLflow's environment variables, but for those that are set already.

    An entry point calls this before anything imports MLflow: telemetry and logging are decided at its import.

    timeout: seconds that one request to a tracking server may take.
    """
    for name, value in (SETTINGS | {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(timeout)}).items():
        os.environ.setdefault(name, value)
    # The same where MLflow was imported before.
    for library in ("mlflow", "alembic"):
        logging.getLogger(library).setLevel(os.environ["MLFLOW_LOGGING_LEVEL"].upper())
