"""A tracking server as a team runs it, on this machine: MLflow with accounts on a PostgreSQL of its own.

    python -m tests.team.tracking_server FOLDER

FOLDER keeps the database cluster, the artifacts and the first admin's password; the next start goes on with them. It
listens on loopback until Ctrl-C. docs/tracking-server.md is the same for good, behind TLS. Needs Debian's package
`postgresql`.
"""

import base64
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import find_free_port, is_healthy

ACCOUNTS = """[mlflow]
default_permission = EDIT
database_uri = {database}
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


@dataclass(frozen=True)
class TrackingServer:
    """url: where it listens. admin: the password of the account `admin`. artifacts: the folder where it keeps them."""

    url: str
    admin: str
    artifacts: Path

    def add_account(self, name: str, password: str) -> None:
        """An account that may log runs, beside those of others, and promote models.

        Raises:
            urllib.error.HTTPError: there is one of that name, or the password has fewer than 12 characters.
        """
        login = base64.b64encode(f"admin:{self.admin}".encode()).decode()
        request = urllib.request.Request(
            f"{self.url}/api/2.0/mlflow/users/create",
            json.dumps({"username": name, "password": password}).encode(),
            {"Authorization": f"Basic {login}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60):
            pass


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A PostgreSQL of our own in a folder, that only its socket there leads to; how SQLAlchemy writes its databases.

    Raises:
        SystemExit: there is no PostgreSQL.
    """
    programs = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
    if programs is None:
        sys.exit("error: there is no PostgreSQL in /usr/lib/postgresql; Debian's package `postgresql` has it")
    data = folder / "cluster"
    as_owner = _owner(folder)
    if not data.exists():
        # Whoever reaches the socket is let in, and the folder decides who that is.
        subprocess.run(
            [
                *as_owner,
                str(programs / "initdb"),
                "--pgdata",
                str(data),
                "--username",
                "mlflow",
                "--auth",
                "trust",
                "--no-sync",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    control = [*as_owner, str(programs / "pg_ctl"), "--pgdata", str(data), "--wait"]
    log = folder / "postgresql.log"
    subprocess.run([*control, "--log", str(log), "--options", options, "start"], check=True, stdout=subprocess.DEVNULL)
    try:
        for name in ("mlflow", "accounts"):
            # The second time it is there.
            create = [str(programs / "createdb"), "--host", str(folder), "--username", "mlflow", name]
            subprocess.run([*as_owner, *create], check=False, stderr=subprocess.DEVNULL)
        yield f"postgresql+psycopg2://mlflow@/{{}}?host={folder}"
    finally:
        subprocess.run([*control, "--mode", "fast", "stop"], check=True, stdout=subprocess.DEVNULL)


@contextmanager
def running(folder: Path) -> Iterator[TrackingServer]:
    """The server, which keeps all it has in a folder whose path is short, as those of sockets have to be."""
    folder.mkdir(mode=0o711, exist_ok=True)
    (folder / "database").mkdir(mode=0o700, exist_ok=True)
    artifacts = folder / "artifacts"
    with postgresql(folder / "database") as database:
        password = _password(folder / "admin-password")
        accounts = folder / "accounts.ini"
        accounts.write_text(ACCOUNTS.format(database=database.format("accounts")))
        port = find_free_port()
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"),
            *("--host", "127.0.0.1", "--port", str(port), "--backend-store-uri", database.format("mlflow")),
            *("--serve-artifacts", "--artifacts-destination", str(artifacts)),
        ]
        environment = os.environ | {
            "MLFLOW_AUTH_CONFIG_PATH": str(accounts),
            "MLFLOW_AUTH_ADMIN_PASSWORD": password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_TRACKING_URI": "",
        }
        log = folder / "mlflow.log"
        with log.open("w") as stream:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=stream, stderr=stream, start_new_session=True
            )
        try:
            while not is_healthy(port):
                if process.poll() is not None:
                    sys.exit(f"error: the server did not start; {log} says why:\n{log.read_text()[-2000:]}")
                time.sleep(0.2)
            yield TrackingServer(f"http://127.0.0.1:{port}", password, artifacts)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)  # it has workers, which are to end with it
                process.wait()


def _owner(folder: Path) -> list[str]:
    """What runs a command as whom PostgreSQL may run as, which is not root; the folder is theirs then."""
    if os.geteuid() != 0:
        return []
    try:
        shutil.chown(folder, "postgres", pwd.getpwnam("postgres").pw_gid)
    except KeyError:
        sys.exit("error: PostgreSQL does not run as root, and there is no user `postgres`; Debian's package makes one")
    return ["runuser", "--user", "postgres", "--"]


def _password(file: Path) -> str:
    """The admin's, drawn at the first start."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(18))
    return file.read_text()


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started us in the background, without the first
        signal.signal(number, signal.default_int_handler)
    with running(Path(sys.argv[1]).absolute()) as server:
        print(f"export MLFLOW_TRACKING_URI={server.url} MLFLOW_TRACKING_USERNAME=admin")
        print(f"export MLFLOW_TRACKING_PASSWORD=$(cat {Path(sys.argv[1]).absolute()}/admin-password)", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
