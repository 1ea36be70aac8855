"""Servers on loopback for DVC remotes: S3, by moto, and ssh, by an sshd of our own. Tests use them too."""

import logging
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
from moto.server import ThreadedMotoServer

from postergenre.errors import InputError

SSHD = Path("/usr/sbin/sshd")
CONFIGURATION = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/id.pub
PidFile {folder}/pid
UsePAM no
PasswordAuthentication no
StrictModes no
Subsystem sftp internal-sftp
"""
# moto accepts any. The environment variables have the same names in capitals.
KEYS = {"aws_access_key_id": "me", "aws_secret_access_key": "mine"}
CREDENTIALS = {name.upper(): value for name, value in KEYS.items()} | {"AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def s3(bucket: str) -> Iterator[str]:
    """Start an S3 server with an empty bucket; gives its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else it prints a line for each request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        boto3.client("s3", endpoint_url=address, region_name="us-east-1", **KEYS).create_bucket(Bucket=bucket)
        yield address
    finally:
        server.stop()


@contextmanager
def sshd(folder: Path, home: Path) -> Iterator[int]:
    """Start an sshd with its files in `folder`; gives its port. Makes the default key of `home`, which has access.

    Raises:
        InputError: sshd is not installed, or did not start.
    """
    if not SSHD.exists():
        raise InputError(f"{SSHD} is missing; `apt-get install openssh-server` installs it")
    if not os.getuid():
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd of root needs this folder; Debian's service makes it
    folder.mkdir()
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    for key in (folder / "host_key", home / ".ssh/id_ed25519"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    shutil.copy(home / ".ssh/id_ed25519.pub", folder / "id.pub")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "config").write_text(CONFIGURATION.format(port=port, folder=folder))
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "config"], stderr=log)
    try:
        if not _accepts_connections(server, port):
            raise InputError(f"sshd did not start: {(folder / 'log').read_text().strip()}")
        yield port
    finally:
        server.terminate()
        server.wait()


def _accepts_connections(server: subprocess.Popen[bytes], port: int) -> bool:
    while server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        except ConnectionRefusedError:
            time.sleep(0.05)
    return False
