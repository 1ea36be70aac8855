"""A remote on S3 and one over ssh, both real servers on this machine; dvc_project/test_team.py has one in a folder."""

import getpass
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import servers
from tests import support
from tests.factories import commit, count_stages, dvc_, git, is_clean, make_two_stages, postergenre, read_dvc_config
from tests.support import ROOT, command

BUCKET = "s3://films/posters"


def bring_over(folder: Path, remote: str) -> Path:
    """Alice sets the remote, runs and pushes; Bob has her commits and all that she ran, and runs nothing."""
    alice, bob = make_two_stages(folder / "alice"), folder / "bob"
    postergenre(alice, "team", remote)
    assert count_stages(dvc_(alice, "repro")) == 2
    commit(alice)
    assert postergenre(alice, "push") == "6 files sent\n"
    git(folder, "clone", "-q", str(alice), str(bob))
    return bob


def pulls_all(bob: Path) -> None:
    dvc_(bob, "pull")
    assert is_clean(bob)
    assert count_stages(dvc_(bob, "repro")) == 0
    assert (bob / "model").read_text() == "a model, rate 0.1"
    assert len(list((bob / "data").iterdir())) == 3


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an S3 with a bucket `films`, and credentials for it in the environment; not the address."""
    for name, value in servers.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    with servers.s3("films") as address:
        yield address


def test_a_teammate_has_all_from_s3_and_needs_to_know_no_address(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    bob = bring_over(tmp_path, BUCKET)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    pulls_all(bob)


def test_a_remote_of_s3_keeps_the_settings_that_it_had(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = make_two_stages(tmp_path / "mine")
    monkeypatch.chdir(mine)
    dvc_(mine, "remote", "add", "--local", "team", BUCKET)
    dvc_(mine, "remote", "modify", "--local", "team", "endpointurl", s3)
    for _ in range(2):
        assert command("team", BUCKET) == 0
        assert capsys.readouterr().out.startswith(f"remote  {BUCKET} at {s3}\n")
    assert s3 not in (mine / ".dvc/config").read_text()
    assert f"endpointurl = {s3}" in (mine / ".dvc/config.local").read_text()


def test_an_address_with_a_password_is_refused_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = make_two_stages(tmp_path / "mine")
    monkeypatch.chdir(mine)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://me:geheim@127.0.0.1:9")
    before = read_dvc_config(mine)
    message = str(command("team", BUCKET))
    assert message.startswith("error: AWS_ENDPOINT_URL holds a password")
    assert "geheim" not in message
    assert read_dvc_config(mine) == before


def test_an_s3_that_fails_costs_push_a_sentence(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = make_two_stages(tmp_path / "mine")
    monkeypatch.chdir(mine)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    assert command("team", BUCKET) == 0
    dvc_(mine, "repro")
    for name in servers.CREDENTIALS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    failed = support.run("postergenre", "push", cwd=mine, env={"PYTHONPATH": str(ROOT)})
    assert (failed.returncode, failed.stderr) == (1, "error: not everything was sent: Unable to locate credentials\n")
    for name, value in servers.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    dvc_(mine, "remote", "modify", "team", "endpointurl", f"http://127.0.0.1:{support.find_free_port()}")
    failed = support.run("postergenre", "push", cwd=mine, env={"PYTHONPATH": str(ROOT)})
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: not everything was sent: ")
    assert failed.stderr.count("\n") == 1


@pytest.mark.long
def test_a_teammate_has_all_by_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / "store").mkdir()
    with servers.sshd(tmp_path / "server", tmp_path / "home") as port:
        remote = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{tmp_path}/store"
        bob = bring_over(tmp_path, remote)
        assert "@" not in (bob / ".dvc/config").read_text()
        postergenre(bob, "team", remote)
        pulls_all(bob)
    assert list((tmp_path / "store/files/md5").iterdir())
