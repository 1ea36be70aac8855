"""What is shared in a team: real git and DVC repositories of several people, and a folder for a remote."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dvc
import pytest

from postergenre import account
from tests import in_process, support
from tests.factories import (
    commit,
    count_stages,
    dvc_,
    git,
    is_clean,
    make_three_stages,
    make_two_stages,
    postergenre,
    read_dvc_config,
    read_lock,
    run,
    set_rate,
)
from tests.in_process import PERSON
from tests.support import ROOT, command


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the team's commits are; a first one was run and pushed to the remote, rate 0.1. Tests take other rates."""
    folder = tmp_path_factory.mktemp("origin")
    first = make_two_stages(folder / "first")
    postergenre(first, "team", str(folder / "store"))
    assert count_stages(dvc_(first, "repro")) == 2
    commit(first)
    dvc_(first, "push", "--run-cache")
    git(folder, "clone", "-q", "--bare", str(first), "origin.git")
    return folder / "origin.git"


def clone(origin: Path, folder: Path) -> Path:
    git(folder.parent, "clone", "-q", str(origin), str(folder))
    return folder


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that we are in, with a folder `place` beside it."""
    (tmp_path / "place").mkdir()
    folder = make_two_stages(tmp_path / "mine")
    monkeypatch.chdir(folder)
    return folder


def test_a_teammate_has_all_that_was_pushed_and_runs_nothing(origin: Path, tmp_path: Path) -> None:
    bob = clone(origin, tmp_path / "bob")
    assert count_stages(dvc_(bob, "repro", "--pull", "--allow-missing")) == 0
    assert not (bob / "model").exists()
    dvc_(bob, "pull")
    assert is_clean(bob)
    assert (bob / "model").read_text() == "a model, rate 0.1"
    assert count_stages(dvc_(bob, "repro")) == 0
    assert git(bob, "status", "--short") == ""


def test_what_somebody_tried_comes_over_and_is_not_run_again(origin: Path, tmp_path: Path) -> None:
    alice, bob = clone(origin, tmp_path / "alice"), clone(origin, tmp_path / "bob")
    dvc_(alice, "pull")
    assert count_stages(dvc_(alice, "exp", "run", "-S", "rate=0.2")) == 1
    git(alice, "checkout", "-q", ".")  # she goes on with something else before she gives away what she has
    dvc_(alice, "checkout")
    postergenre(alice, "push")
    set_rate(bob, 0.2)
    output = dvc_(bob, "repro", "--pull")
    assert count_stages(output) == 0, output
    assert json.loads((bob / "reports/metrics.json").read_text()) == {"rate": 0.2}
    assert (bob / "model").read_text() == "a model, rate 0.2"
    assert is_clean(bob)


def test_pushing_again_sends_nothing(origin: Path, tmp_path: Path) -> None:
    alice = clone(origin, tmp_path / "alice")
    dvc_(alice, "pull")
    set_rate(alice, 0.3)
    dvc_(alice, "repro")
    assert postergenre(alice, "push") == "2 files sent\n"
    assert postergenre(alice, "push") == "0 files sent\n"


def test_a_run_whose_model_did_not_arrive_is_not_sent_and_push_says_so(mine: Path) -> None:
    store = mine.parent / "place/store"
    assert command("team", str(store)) == 0
    dvc_(mine, "repro")
    md5 = hashlib.md5((mine / "model").read_bytes(), usedforsecurity=False).hexdigest()
    (store / "files/md5" / md5[:2]).symlink_to("nowhere")  # no folder can be made here, by root neither
    output = str(command("push"))
    assert output.startswith("error: 1 of 6 files did not arrive (")
    assert output.count("\n") == 0
    assert not (store / "runs").exists()
    (store / "files/md5" / md5[:2]).unlink()
    assert postergenre(mine, "push") == "1 files sent\n"
    assert len(list(store.glob("runs/*/*/*"))) == 2


def test_a_run_whose_files_are_gone_keeps_nothing_else_back(mine: Path) -> None:
    store = mine.parent / "place/store"
    assert command("team", str(store)) == 0
    dvc_(mine, "repro")
    set_rate(mine, 0.2)
    dvc_(mine, "repro")
    for listing in (mine / ".dvc/cache/files/md5").glob("*/*.dir"):
        listing.unlink()
    shutil.rmtree(mine / "data")
    assert "files sent" in postergenre(mine, "push")
    assert len(list(store.glob("runs/*/*/*"))) == 3


def test_pushing_again_writes_no_run_again(mine: Path) -> None:
    store = mine.parent / "place/store"
    assert command("team", str(store)) == 0
    dvc_(mine, "repro")
    assert command("push") == 0
    before = {file: file.stat().st_ino for file in store.glob("runs/*/*/*")}
    (mine / ".dvc/cache/runs/ab/abc").mkdir(parents=True)
    (mine / ".dvc/cache/runs/ab/abc/tmp1").write_text("half an en")  # another process writes it
    assert command("push") == 0
    assert {file: file.stat().st_ino for file in store.glob("runs/*/*/*")} == before
    assert (mine / ".dvc/cache/runs/ab/abc/tmp1").exists()


def test_what_is_never_pushed_is_made_again_where_a_later_stage_needs_it(tmp_path: Path) -> None:
    alice, store = make_three_stages(tmp_path / "alice"), tmp_path / "store"
    postergenre(alice, "team", str(store))
    assert count_stages(dvc_(alice, "repro")) == 3
    commit(alice)
    assert postergenre(alice, "push") == "6 files sent\n"
    md5 = read_lock(alice)["resize"]["outs"][0]["md5"]
    assert (alice / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).exists()
    assert not (store / "files/md5" / md5[:2] / md5[2:]).exists()
    assert not [run for run in store.glob("runs/*/*/*") if "path: resized" in run.read_text().split("outs:")[1]]

    bob = clone(alice, tmp_path / "bob")
    dvc_(bob, "pull", "--allow-missing")
    assert (bob / "model").read_text() == "a model, rate 0.1"
    assert not (bob / "resized").exists()
    assert "not here  resized (stage resize)" in postergenre(bob, "verify")

    carol = clone(alice, tmp_path / "carol")
    set_rate(carol, 0.2)
    output = run(carol, "postergenre", "repro", "--pull", "--allow-missing")
    assert [stage for stage in ("prepare", "resize", "train") if f"Running stage '{stage}'" in output] == [
        "resize",
        "train",
    ]
    assert (carol / "model").read_text() == "a model, rate 0.2"
    assert is_clean(carol)
    assert count_stages(dvc_(carol, "exp", "run", "-S", "rate=0.3")) == 1


def test_what_has_rotted_and_is_never_pushed_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = make_three_stages(tmp_path / "alice")
    monkeypatch.chdir(alice)
    assert command("team", str(tmp_path / "store")) == 0
    dvc_(alice, "repro")
    rotten = rot(alice / ".dvc/cache", alice / "resized/shard.npy")
    (alice / "resized/shard.npy").unlink()
    output = in_process.postergenre(alice, "verify").stdout
    assert f"rm -f {rotten.relative_to(alice)}" in output
    assert "    dvc repro resize\n" in output
    assert "dvc fetch" not in output


def test_two_branches_are_merged_by_one_command_that_runs_nothing(origin: Path, tmp_path: Path) -> None:
    ours, theirs = 0.4, 0.5
    alice, bob = clone(origin, tmp_path / "alice"), clone(origin, tmp_path / "bob")
    for person, rate in ((alice, theirs), (bob, ours)):
        dvc_(person, "pull")
        set_rate(person, rate)
        assert count_stages(dvc_(person, "repro")) == 1
        commit(person)
        postergenre(person, "push")
    git(bob, "fetch", "-q", str(alice), "main")
    merge = support.run("git", "merge", "FETCH_HEAD", cwd=bob, env=PERSON)
    assert merge.returncode == 1
    assert "Merge conflict in dvc.lock" in merge.stdout
    set_rate(bob, theirs)
    assert count_stages(dvc_(bob, "repro", "--pull")) == 0
    git(bob, "commit", "-qam", "merged")
    assert is_clean(bob)
    assert git(bob, "status", "--short") == ""
    assert json.loads((bob / "reports/metrics.json").read_text()) == {"rate": theirs}
    assert (bob / "model").read_text() == f"a model, rate {theirs}"


def test_what_is_everyones_is_in_git_and_what_is_mine_is_not(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = mine.parent / "place"
    assert command("team", str(place / "store"), "--cache", str(place / "cache")) == 0
    output = capsys.readouterr().out
    assert f"make team REMOTE={place}/store CACHE={place}/cache" in output
    everyone, me = ((mine / ".dvc" / name).read_text() for name in ("config", "config.local"))
    assert f"url = {place}/store" in everyone
    assert "remote = team" in everyone
    assert "cache" not in everyone
    assert "analytics = false" in everyone
    assert f"dir = {place}/cache" in me
    assert all(key in me for key in ("shared = group", "site_cache_dir = ", 'type = "reflink,hardlink,symlink,copy"'))
    assert git(mine, "status", "--short") == " M .dvc/config\n"
    assert not [file for file in place.rglob("*") if file.is_file()]  # the probes are gone


def test_the_same_again_changes_nothing(mine: Path) -> None:
    given = ("team", str(mine.parent / "place/store"), "--cache", str(mine.parent / "place/cache"))
    assert command(*given) == 0
    before = read_dvc_config(mine)
    modes = {path: path.stat().st_mode for path in (mine.parent / "place").rglob("*")}
    assert command(*given) == 0
    assert read_dvc_config(mine) == before
    assert {path: path.stat().st_mode for path in (mine.parent / "place").rglob("*")} == modes


def test_what_the_cache_before_had_is_in_the_shared_one(mine: Path) -> None:
    dvc_(mine, "repro")
    place = mine.parent / "place"
    assert command("team", str(place / "store"), "--cache", str(place / "cache")) == 0
    for path in (".dvc/cache", "data"):
        shutil.rmtree(mine / path)
    dvc_(mine, "checkout")
    assert is_clean(mine)
    assert len(list((mine / "data").iterdir())) == 3
    (mine / "dvc.lock").unlink()
    assert count_stages(dvc_(mine, "repro")) == 0  # the run cache came along
    assert "sent" in postergenre(mine, "push")


def test_what_has_rotted_in_the_cache_before_is_named_and_reaches_nobody(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dvc_(mine, "repro")
    place = mine.parent / "place"
    (listing,) = (mine / ".dvc/cache/files/md5").glob("*/*.dir")
    rotten = [rot(mine / ".dvc/cache", mine / "model"), rot(mine / ".dvc/cache", listing)]
    assert command("team", str(place / "store"), "--cache", str(place / "cache")) == 0
    output = capsys.readouterr().out
    assert "6 files of the cache used before are in it now" in output
    for file in rotten:
        assert f"left out, because it does not match its hash: {file}\n" in output
        assert file.exists()
        assert not (place / "cache" / file.relative_to(mine / ".dvc/cache")).exists()


def rot(cache: Path, file: Path) -> Path:
    """Change a byte of the object that holds what is in a file; the object's path."""
    md5 = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    place = cache / "files/md5" / md5[:2] / (md5[2:] + file.suffix * (file.suffix == ".dir"))
    place.chmod(0o644)
    place.write_bytes(b"?" + place.read_bytes()[1:])
    place.chmod(0o444)  # DVC believes a file that is protected
    return place


def test_what_has_rotted_in_the_cache_is_not_sent(mine: Path) -> None:
    dvc_(mine, "repro")
    assert command("team", str(mine.parent / "place")) == 0
    rotten = rot(mine / ".dvc/cache", mine / "model")
    refused = f"error: nothing was sent, because {rotten} in the cache does not match its hash; "
    assert str(command("push")).startswith(refused)
    assert not [file for file in (mine.parent / "place").rglob("*") if file.is_file()]


def test_what_has_rotted_in_the_remote_is_not_taken(origin: Path, tmp_path: Path) -> None:
    ours = clone(origin, tmp_path / "ours")
    set_rate(ours, 0.66)
    dvc_(ours, "repro")
    commit(ours)
    postergenre(ours, "push")
    bob = clone(ours, tmp_path / "bob")
    rot(origin.parent / "store", ours / "model")
    assert support.run("dvc", "pull", cwd=bob).returncode != 0
    assert not (bob / "model").exists()
    assert count_stages(dvc_(bob, "repro")) == 1
    assert is_clean(bob)
    assert (bob / "model").read_text() == "a model, rate 0.66"


@pytest.mark.parametrize("cache", ["place", "place/cache", "link"])
def test_a_cache_in_the_remote_is_refused(mine: Path, cache: str) -> None:
    place, before = mine.parent / "place", read_dvc_config(mine)
    (mine.parent / "link").symlink_to(place)
    output = str(command("team", str(place), "--cache", str(mine.parent / cache)))
    assert "they should be two folders, and neither in the other" in output
    assert (read_dvc_config(mine), [*place.iterdir()]) == (before, [])


def test_folders_are_the_groups_whatever_the_umask(mine: Path) -> None:
    try:  # owner, group: rwx, others: nothing
        acl = bytes.fromhex("02000000 01000700ffffffff 04000700ffffffff 20000000ffffffff")
        os.setxattr(mine, "system.posix_acl_default", acl)
    except (AttributeError, OSError):
        pytest.skip("this file system has no default ACLs")
    cache = mine.parent / "place/cache"
    (cache / "files/md5/00").mkdir(parents=True, mode=0o700)
    assert command("team", str(mine.parent / "place/store"), "--cache", str(cache)) == 0
    subprocess.run(["mkdir", "-p", cache / "runs/00/11"], umask=0o077, check=True)
    folders = [path for path in cache.rglob("*") if path.is_dir()]
    assert len(folders) >= 5
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o2070 == 0o2070 for path in folders)


def test_what_is_not_dvcs_in_a_shared_folder_stays_private(mine: Path) -> None:
    place = mine.parent / "place"
    private = [place / name for name in ("diary", "files/diary", "files/md5/diary", "runs/diary")]
    shared = [place / name for name in ("files/md5/0a", "runs/0b/c")]
    for folder in (*private, *shared):
        folder.mkdir(parents=True)
        folder.chmod(0o700)
    assert command("team", str(place)) == 0
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in private] == [0o700] * 4
    assert all(stat.S_IMODE(folder.stat().st_mode) == 0o2770 for folder in shared)


@pytest.mark.parametrize(
    "remote",
    [
        "ssh://me:geheim@host/srv",
        "ssh://me:ge/heim@host/srv",
        "s3://key:geheim@bucket",
        "me:geheim@host:/srv",
        "me:ge/heim@host:/srv",
        "ssh:/me:geheim@host/srv",
    ],
)
def test_a_password_is_refused_and_not_repeated(mine: Path, remote: str) -> None:
    before = read_dvc_config(mine)
    output = str(command("team", remote))
    assert output.startswith("error: REMOTE holds a password")
    assert ".dvc/config.local" in output
    assert "geheim" not in output
    assert "heim@" not in output
    assert read_dvc_config(mine) == before


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([""], "REMOTE is ''; it should be s3://BUCKET/PATH, ssh://"),
        (["me@host:/srv"], "REMOTE is 'me@host:/srv'; it should be s3://BUCKET/PATH, ssh://"),
        (["../place\nurl = x"], "REMOTE is '../place\\nurl = x'; it should hold no line break"),
        (["../place", "--cache", "../\033[31m"], "CACHE is '../\\x1b[31m'; it should hold no line break"),
        (["gs://bucket"], "REMOTE is gs://bucket; it should be s3://BUCKET/PATH, ssh://"),
        (["ssh://host"], "REMOTE is ssh://host; it should be s3://BUCKET/PATH, ssh://"),
        (["../nowhere/store"], "/nowhere to make it in; is it mounted?"),
        (["store"], "it should be outside the project"),
        (["../place", "--cache", "dvc.yaml/.."], "it should be outside the project"),
        (["../place", "--cache", "../file"], "/file, which is a file; it should be a folder"),
        (["../diary"], "/diary, which holds monday and nothing of DVC's; it should be new, empty or DVC's"),
        (["../place", "--cache", "../diary"], "/diary, which holds monday and nothing of DVC's"),
        (["../broken"], "which cannot be written to and read from: "),
        (["../place", "--cache", "../broken"], "which cannot be written to and read from: "),
    ],
)
def test_a_place_that_cannot_be_used_leaves_all_as_it_was(mine: Path, given: list[str], sentence: str) -> None:
    (mine.parent / "file").touch()
    (mine.parent / "broken").mkdir()
    (mine.parent / "broken/files").touch()
    (mine.parent / "diary/monday").mkdir(parents=True)
    folders = [mine.parent / name for name in ("place", "broken", "diary", "diary/monday")]
    for folder in folders:
        folder.chmod(0o700)
    before = read_dvc_config(mine)
    output = str(command("team", *given))
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 4
    assert output.startswith("error: ")
    assert sentence in output
    assert {name: text for name, (text, _) in read_dvc_config(mine).items()} == {
        name: text for name, (text, _) in before.items()
    }


@pytest.mark.parametrize("scheme", ["s3", "ssh"])
def test_a_missing_package_is_named_with_what_installs_it(
    mine: Path, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, f"dvc_{scheme}", None)
    before = (mine / ".dvc/config").read_bytes()
    assert command("team", f"{scheme}://place/posters") == (
        f"error: {scheme}:// needs the package dvc-{scheme}; `uv pip install --editable '.[{scheme}]'` installs it"
    )
    assert (mine / ".dvc/config").read_bytes() == before


def test_a_secret_does_not_follow_to_another_remote(mine: Path) -> None:
    dvc_(mine, "remote", "add", "--local", "team", "s3://bucket/posters")
    dvc_(mine, "remote", "modify", "--local", "team", "secret_access_key", "geheim")
    assert command("team", str(mine.parent / "place/store")) == 0
    assert "geheim" not in (mine / ".dvc/config.local").read_text()
    assert dvc_(mine, "push") == "Everything is up to date.\n"


def test_nothing_private_is_written_where_git_would_keep_it(mine: Path) -> None:
    (mine / ".dvc/.gitignore").write_text("/tmp\n/cache\n")
    assert "add /config.local to .dvc/.gitignore" in str(command("team", "../place/store"))
    assert not (mine / ".dvc/config.local").exists()


def test_push_without_a_remote_says_how_to_set_one(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command("push") == "error: no remote is set; `make team REMOTE=...` sets one"
    monkeypatch.chdir(mine.parent)
    assert "is in no DVC project" in str(command("push"))


def test_a_configuration_that_cannot_be_read_costs_a_sentence(mine: Path) -> None:
    (mine / ".dvc/config").write_text("[core\n")
    for given in (["push"], ["team", "../place"]):
        output = str(command(*given))
        assert output.startswith("error: DVC cannot read this project: ")
        assert "\n" not in output


def test_without_git_team_says_so(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_dvc_config(mine)
    monkeypatch.setenv("PATH", str(mine.parent / "place"))
    assert str(command("team", "../place/store")).startswith("error: git is not installed, or not on PATH")
    assert read_dvc_config(mine) == before


def test_a_user_without_a_name_works_under_a_number(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "")
    monkeypatch.setattr(os, "getuid", lambda: 54_321)  # whom the system does not know
    assert account.name() == "54321"
    assert command("team", "../place/store") == 0
    assert os.environ["LOGNAME"] == "54321"
    dvc_(mine, "repro")
    for words in ("push", "verify"):
        assert command(words) == 0


def test_push_makes_no_remote_where_a_share_is_not_mounted(mine: Path) -> None:
    place = mine.parent / "place"
    assert command("team", str(place / "store")) == 0
    dvc_(mine, "repro")
    shutil.rmtree(place / "store")
    for mounted_on in (place, place / "store"):
        mounted_on.mkdir(exist_ok=True)
        assert command("push") == (
            f"error: the remote, {place}/store, holds nothing of DVC's; is it mounted? "
            f"Where it is new, `make team REMOTE={place}/store` sets it up"
        )
        assert not [*mounted_on.iterdir()]
    assert command("team", str(place / "store")) == 0
    assert command("push") == 0


GROUP = 52_000  # of nobody; users that the system does not know are users all the same


class User:
    """Somebody else on this machine, in the team's group, with a umask that shuts it out."""

    def __init__(self, number: int, home: Path):
        self.number = number
        self.home = home
        home.mkdir(mode=0o700)
        os.chown(home, number, number)
        # git asks for this before it clones from a folder that is another user's, and only believes it of a home.
        (home / ".gitconfig").write_text(f"[safe]\n    directory = {home.parent}/origin/.git\n")
        packages = Path(dvc.__file__).parents[1]
        self.environment = PERSON | {
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "LOGNAME": f"user{number}",
            "PYTHONPATH": f"{ROOT}:{packages}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=cwd or self.home,
            env=self.environment,
            user=self.number,
            group=self.number,
            extra_groups=[GROUP],
            umask=0o077,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def output_of(self, *words: str, cwd: Path) -> str:
        done = self.run(*words, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def host() -> Iterator[Path]:
    """A folder that all on this machine can reach, with one in it that is the team's."""
    if os.getuid():
        pytest.skip("only root can be several users")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "team").mkdir()
        os.chown(folder / "team", -1, GROUP)
        (folder / "team").chmod(0o2770)
        yield folder
    for number in (51_001, 51_002):
        shutil.rmtree(f"/var/tmp/dvc-user{number}", ignore_errors=True)


def python_for(user: User) -> str:
    """A Python that a user may run, and which has DVC; whether our own code can be imported, the test tells."""
    version = f"python3.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            if user.run(python, "-c", "import dvc.cli, sqlite3").returncode == 0:
                return python
        except OSError:  # no such file, or one that others may not run
            continue
    pytest.skip("other users can run no Python with DVC here")


def test_one_folder_that_cannot_be_opened_leaves_the_others_closed(host: Path) -> None:
    alice, cache = User(51_001, host / "alice"), host / "team/cache"
    python = python_for(alice)
    for name in ("", "files", "files/md5", "files/md5/00", "files/md5/01"):
        (cache / name).mkdir(mode=0o700)
        os.chown(cache / name, alice.number if name != "files/md5/01" else 0, GROUP)
    code = (
        "from pathlib import Path\nfrom postergenre.dvc_project import shared_folders\n"
        f"shared_folders.open_to_group([Path({str(cache)!r})])"
    )
    output = alice.run(python, "-c", code).stderr
    assert f"{cache}/files/md5/01 cannot be opened to the group (Operation not permitted); its owner can: " in output
    assert all(stat.S_IMODE(folder.stat().st_mode) & 0o777 == 0o700 for folder in (cache, *cache.rglob("*")))
    done = support.run("bash", "-c", output.split("its owner can: `")[1].split("`")[0].replace("GROUP", "0"), cwd=host)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_two_users_share_a_cache_and_a_folder(host: Path) -> None:
    alice, bob = User(51_001, host / "alice"), User(51_002, host / "bob")
    python = python_for(alice)
    origin = make_two_stages(host / "origin", rate=0.1)
    places = (str(host / "team/store"), "--cache", str(host / "team/cache"))
    clones = {user: user.home / "clone" for user in (alice, bob)}
    alice.output_of("git", "clone", "-q", str(origin), "clone", cwd=alice.home)

    def dvc_as(user: User, *words: str) -> str:
        return user.output_of(python, "-m", "dvc", *words, cwd=clones[user])

    def postergenre_as(user: User, *words: str) -> str:
        return user.output_of(python, "-m", "postergenre.cli", *words, cwd=clones[user])

    postergenre_as(alice, "team", *places)
    assert count_stages(dvc_as(alice, "repro")) == 2
    postergenre_as(alice, "push")
    lock = (clones[alice] / "dvc.lock").read_text()
    (origin / "dvc.lock").write_text(lock)
    commit(origin)

    bob.output_of("git", "clone", "-q", str(origin), "clone", cwd=bob.home)
    postergenre_as(bob, "team", *places)
    assert count_stages(dvc_as(bob, "repro")) == 0
    assert "up to date" in dvc_as(bob, "status")
    model = clones[bob] / "model"
    assert model.is_symlink() or model.stat().st_nlink > 1, "a copy: the cache is not shared"
    for user, other, rate in ((bob, alice, 0.2), (alice, bob, 0.3)):
        set_rate(clones[user], rate)
        assert count_stages(dvc_as(user, "repro")) == 1
        postergenre_as(user, "push")
        set_rate(clones[other], rate)
        assert count_stages(dvc_as(other, "repro", "--pull")) == 0
        dvc_as(other, "repro", "--force")
        postergenre_as(other, "push")
    shutil.rmtree(host / "team/cache/files")
    shutil.rmtree(host / "team/cache/runs")
    for user in (bob, alice):  # each brings a part of the cache back for both
        dvc_as(user, "pull", "--run-cache")
        dvc_as(user, "repro", "--force")
        assert "up to date" in dvc_as(user, "status")
