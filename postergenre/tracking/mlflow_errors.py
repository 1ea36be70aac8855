"""MLflow's exceptions: what kind of failure one is, and one sentence for it that holds no password."""

import re
import shlex
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import mlflow

from postergenre import errors

# What to do, by words of MLflow's messages that say so late, or for other stores.
REMEDIES = {
    "out-of-date database schema": (
        "another version of MLflow made its tables; keep a copy, then bring those of an earlier one up to date: "
        "`mlflow db upgrade {store}`"
    ),
    "filesystem tracking backend": (
        "MLflow has given up stores that are folders; MLFLOW_TRACKING_URI=sqlite:///FILE.db names one in a file, "
        "`mlflow migrate-filestore` moves the runs into it, and MLFLOW_ALLOW_FILE_STORE=true allows the "
        "folder all the same"
    ),
}
UNREACHABLE = (ConnectionError, TimeoutError, socket.gaierror, ssl.SSLError)


def store_name() -> str:
    """The tracking URI without a password, for people to read."""
    return _without_password(str(mlflow.get_tracking_uri()))


def describe(error: Exception) -> str:
    """One sentence that names the store and what went wrong.

    Where the store works and has not what it was asked for, it "answered" that; else it "failed".
    """
    code = error.error_code if isinstance(error, mlflow.exceptions.MlflowException) else None
    if code == "ENDPOINT_NOT_FOUND":
        return f"{store_name()} is no MLflow server; MLFLOW_TRACKING_URI should name one"
    return f"MLflow at {store_name()} {'answered' if code == 'RESOURCE_DOES_NOT_EXIST' else 'failed'} ({reason(error)})"


def reason(error: BaseException) -> str:
    """A few words: what the system reported about a connection, what to do about an outdated store, else the message of
    the original error."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, UNREACHABLE):
            return cause.strerror or str(cause)
        if isinstance(cause, mlflow.exceptions.MlflowException) and cause.get_http_status_code() == 401:
            return "401: the server has no account for MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        for words, remedy in REMEDIES.items():
            if words in str(cause):
                # Of a store in this folder, the command has the name alone.
                return remedy.format(store=shlex.quote(store_name().replace(f"sqlite:///{Path.cwd()}/", "sqlite:///")))
    telling = [cause for cause in causes if not isinstance(cause, KeyError)] or causes
    return _without_password(errors.one_line(telling[-1]))


def is_unreachable(error: BaseException) -> bool:
    """Whether the server cannot be reached, so that the next call would fail too."""
    return any(isinstance(cause, UNREACHABLE) for cause in _causes(error))


def is_dropped(error: BaseException) -> bool:
    """Whether only this connection was closed; a healthy server may close one that was kept open."""
    return any(isinstance(cause, ConnectionResetError | BrokenPipeError) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what caused it, the outermost first."""
    cause: BaseException | None = error
    while cause:
        yield cause
        wrapped = next((part for part in cause.args if isinstance(part, BaseException)), None)  # urllib3 wraps it so
        cause = cause.__cause__ or cause.__context__ or wrapped


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]*@", "//", text)
