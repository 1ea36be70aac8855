"""`postergenre verify` on real DVC repositories whose cache loses a byte, and the commands that it prints for that."""

import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import in_process, support

POSTERS = 5  # two shards of two posters, one of one
DVC = {
    "stages": {
        "scrape": {"cmd": "python scrape.py", "deps": ["scrape.py"], "outs": ["data/posters"]},
        "train": {
            "cmd": "python train.py",
            "deps": ["train.py", "data/posters"],
            "outs": ["model.bin"],
            "metrics": [{"metrics.json": {"cache": False}}],
        },
    }
}
SCRAPE = f"""
from pathlib import Path
from postergenre import files
from postergenre.data import manifest
from scraper import downloads, shards
from tests.support import encode, make_picture

with downloads.open_downloads(Path("downloads")) as held, files.atomic_folder(Path("data/posters")) as folder:
    rows = []
    for n in range(1, {POSTERS} + 1):
        url, body = f"http://127.0.0.1:9/{{n}}.jpg", encode(make_picture(n))
        held.put(url, downloads.Poster(url, 200, 1, "jpg", 60, 90, "", "", downloads.sha256(body), body))
        rows.append(manifest.Row(n, f"tt000000{{n}}", "", "Drama", "ok", asked=url, **held.get_manifest_fields(url)))
    rows.append(manifest.Row({POSTERS} + 1, "tt0000099", "", "Drama", "gone", "404"))
    shards.write(folder, rows, held, 2)
"""
TRAIN = """
from pathlib import Path
Path("model.bin").write_bytes(bytes(range(256)) * 9000)  # more than is read at once
Path("metrics.json").write_text('{"map": 0.25}')
"""


def dvc(folder: Path, *arguments: str) -> str:
    done = in_process.dvc(folder, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def verify(folder: Path) -> subprocess.CompletedProcess[str]:
    return in_process.postergenre(folder, "verify")


def printed_commands(text: str) -> list[str]:
    """The commands of a report, of which the last verifies again."""
    commands = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    assert commands.pop() == "postergenre verify"
    return commands


def heal(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run the printed commands as a shell would, each of which must work; then verify again."""
    for line in printed_commands(text):
        words = shlex.split(line)
        if words[0] == "dvc":
            dvc(folder, *words[1:])
        else:
            done = support.run("bash", "-c", line, cwd=folder)
            assert done.returncode == 0, done.stderr
    return verify(folder)


def heal_in_a_shell(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run the printed commands as they stand, and verify again."""
    code = "\n".join(["set -e", *printed_commands(text), f"{shlex.quote(sys.executable)} -m postergenre.cli verify"])
    return support.run("bash", "-c", code, cwd=folder, env={"PYTHONPATH": str(support.ROOT)})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    (folder / "dvc.yaml").write_text(yaml.safe_dump(DVC))
    (folder / "scrape.py").write_text(SCRAPE)
    (folder / "train.py").write_text(TRAIN)
    assert support.run("git", "init", "-q", cwd=folder).returncode == 0
    dvc(folder, "init", "-q")
    dvc(folder, "repro", "-q")
    return folder


def project(template: Path, folder: Path, link: str = "copy", remote: bool = False) -> Path:
    """The project after one `dvc repro`, its workspace linked to the cache in this way."""
    shutil.copytree(template, folder / "project")
    dvc(folder / "project", "config", "cache.type", link)
    if remote:
        dvc(folder / "project", "remote", "add", "-q", "-d", "store", str(folder / "remote"))
        dvc(folder / "project", "push", "-q")
    if link != "copy":
        dvc(folder / "project", "checkout", "-q", "--relink")
    return folder / "project"


def cached(folder: Path, path: str) -> Path:
    """An out's, or a shard's, object in the cache."""
    outs = {out["path"]: out["md5"] for stage in lock(folder).values() for out in stage["outs"]}
    if path in outs:
        return cache_file(folder, outs[path])
    listing = yaml.safe_load(cache_file(folder, outs[str(Path(path).parent)]).read_text())
    return cache_file(folder, {entry["relpath"]: entry["md5"] for entry in listing}[Path(path).name])


def lock(folder: Path) -> dict[str, Any]:
    stages: dict[str, Any] = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    return stages


def cache_file(folder: Path, md5: str) -> Path:
    return folder / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def rot(file: Path, place: int = -1) -> None:
    """Flip a bit of the byte at `place` as a disk does: neither the mode nor the time tells."""
    before = file.stat()
    file.chmod(0o644)
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    with file.open("r+b") as stream:
        stream.write(data)
    file.chmod(before.st_mode & 0o777)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def contents(folder: Path) -> dict[str, bytes]:
    files = [*(folder / "data/posters").iterdir(), folder / "model.bin"]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_what_is_whole_takes_one_line(template: Path) -> None:
    done = verify(template)
    assert done.returncode == 0
    objects = [file for file in (template / ".dvc/cache/files").rglob("*") if file.is_file()]
    bodies = 0
    for shard in (template / "data/posters").glob("*.tar"):
        with tarfile.open(shard) as tar:
            bodies += sum(member.size for member in tar)
    assert done.stdout == (
        f"{len(objects)} objects in DVC's cache ({sum(file.stat().st_size for file in objects):,} bytes) "
        f"and {POSTERS} posters ({bodies:,} bytes) match their hashes\n"
    )
    assert len(objects) == 7  # a folder's listing, its manifest and three shards, the model, the run cache's metrics
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("link", "remote"),
    [
        ("copy", False),
        ("hardlink", True),
        ("hardlink", False),
        ("symlink", True),
        pytest.param("copy", True, marks=pytest.mark.long),
        pytest.param("symlink", False, marks=pytest.mark.long),
    ],
)
def test_a_flipped_bit_that_dvc_does_not_see_is_named_and_healed(
    template: Path, tmp_path: Path, link: str, remote: bool
) -> None:
    folder = project(template, tmp_path, link, remote)
    before, shard = contents(folder), "data/posters/shard-00001.tar"
    rotten = {path: cached(folder, path) for path in ("model.bin", shard)}
    for file in rotten.values():
        assert file.stat().st_mode & 0o777 == 0o444
        rot(file, 600)
    assert "up to date" in dvc(folder, "status")
    done = verify(folder)
    assert done.returncode == 1
    for (path, file), stage in zip(rotten.items(), ("train", "scrape"), strict=True):
        assert f"corrupt  {path} (stage {stage}): {file.relative_to(folder)}\n" in done.stdout
    assert "2 objects corrupt, 0 lost" in done.stdout
    # A copy in the workspace is its own file and sound; a link leads to the same rotten bytes.
    assert ("tt0000003.jpg is not the poster" in done.stdout) == (link != "copy")
    assert ("dvc fetch" in done.stdout) == (remote and link != "copy")
    assert ("dvc repro" in done.stdout.split("To get it back")[1].split("What the remote")[0]) == (
        not remote and link != "copy"
    )
    healed = heal(folder, done.stdout)
    assert healed.returncode == 0, healed.stdout + healed.stderr
    assert "match their hashes" in healed.stdout
    assert contents(folder) == before
    assert all(file.stat().st_mode & 0o777 == 0o444 for file in rotten.values())
    assert "up to date" in dvc(folder, "status")


@pytest.mark.parametrize("remote", [True, False], ids=["remote", "alone"])
def test_a_folders_listing_heals_and_the_files_it_lists_are_checked_meanwhile(
    template: Path, tmp_path: Path, remote: bool
) -> None:
    folder = project(template, tmp_path, remote=remote)
    before, shard = contents(folder), cached(folder, "data/posters/shard-00000.tar")
    rot(cached(folder, "data/posters"), 10)
    rot(shard)
    done = verify(folder)
    assert done.returncode == 1
    assert "corrupt  data/posters (stage scrape)" in done.stdout
    assert f"corrupt  data/posters/shard-00000.tar (stage scrape): {shard.relative_to(folder)}" in done.stdout
    healed = heal(folder, done.stdout)
    assert healed.returncode == 0, healed.stdout + healed.stderr
    assert contents(folder) == before


def test_a_listing_that_cannot_be_recovered_is_reported(template: Path, tmp_path: Path) -> None:
    folder = project(template, tmp_path)
    rot(cached(folder, "data/posters"), 10)
    (folder / "data/posters/shard-00000.tar").unlink()
    done = verify(folder)
    assert "corrupt  data/posters (stage scrape)" in done.stdout
    assert "the files that it lists were not checked" in done.stdout
    assert heal(folder, done.stdout).returncode == 0


def test_a_copy_that_was_checked_out_from_a_rotten_object_is_replaced_and_other_work_is_not(
    template: Path, tmp_path: Path
) -> None:
    folder = project(template, tmp_path, remote=True)
    before = contents(folder)
    shard = folder / "data/posters/shard-00000.tar"
    for path in ("data/posters/shard-00000.tar", "model.bin"):
        rot(cached(folder, path), 600)
    shard.unlink()
    dvc(folder, "checkout", "data/posters")
    assert shard.read_bytes() != before["data/posters/shard-00000.tar"]
    (folder / "model.bin").write_bytes(b"an experiment of mine")
    healed = heal(folder, verify(folder).stdout)
    assert healed.returncode == 0, healed.stdout + healed.stderr
    assert contents(folder) == before | {"model.bin": b"an experiment of mine"}


def test_what_was_never_pulled_is_named_and_is_no_failure(template: Path, tmp_path: Path) -> None:
    folder = project(template, tmp_path, remote=True)
    shutil.rmtree(folder / ".dvc/cache")
    shutil.rmtree(folder / "data")
    (folder / "model.bin").write_bytes(b"of another commit")
    dvc(folder, "fetch", "data/posters/shard-00002.tar")
    done = verify(folder)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split(" (")[0] for line in lines[:4]] == [
        "not here  data/posters/manifest.csv",
        "not here  data/posters/shard-00000.tar",
        "not here  data/posters/shard-00001.tar",
        "not here  model.bin",
    ]
    assert "normal where only parts were pulled; `dvc repro --pull` brings" in lines[4]
    assert lines[5].startswith("2 objects in DVC's cache")


def test_without_a_remote_what_is_not_here_has_to_be_made(template: Path, tmp_path: Path) -> None:
    folder = project(template, tmp_path, remote=False)
    shutil.rmtree(folder / ".dvc/cache")
    shutil.rmtree(folder / "data")
    assert "normal where only parts were pulled; `dvc repro` brings" in verify(folder).stdout


@pytest.mark.parametrize(("link", "remote"), [("copy", False), ("symlink", True), ("symlink", False)])
def test_what_the_cache_lost_and_the_workspace_has_is_a_failure_and_healed(
    template: Path, tmp_path: Path, link: str, remote: bool
) -> None:
    folder = project(template, tmp_path, link, remote)
    before = contents(folder)
    for path in ("model.bin", "data/posters/shard-00001.tar"):
        file = cached(folder, path)
        shutil.rmtree(file.parent)
    done = verify(folder)
    assert done.returncode == 1
    assert "lost  model.bin (stage train)" in done.stdout
    assert "lost  data/posters/shard-00001.tar (stage scrape)" in done.stdout
    healed = heal(folder, done.stdout)
    assert healed.returncode == 0, healed.stdout + healed.stderr
    assert contents(folder) == before
    assert "up to date" in dvc(folder, "status")


def test_a_rotten_copy_of_the_run_caches_only_has_to_go(template: Path, tmp_path: Path) -> None:
    folder = project(template, tmp_path)
    (metrics,) = (out["md5"] for out in lock(folder)["train"]["outs"] if out["path"] == "metrics.json")
    rot(cache_file(folder, metrics))
    done = verify(folder)
    assert done.returncode == 1
    assert "corrupt  metrics.json (stage train)" in done.stdout
    assert heal(folder, done.stdout).returncode == 0
    assert not cache_file(folder, metrics).exists()
    assert verify(folder).stdout.startswith("6 objects")


def test_a_cache_elsewhere_is_read(template: Path, tmp_path: Path) -> None:
    folder = project(template, tmp_path)
    (folder / ".dvc/cache").rename(tmp_path / "shared cache")
    dvc(folder, "config", "cache.dir", str(tmp_path / "shared cache"))
    assert verify(folder).stdout.startswith("7 objects")
    file = tmp_path / "shared cache" / cached(template, "model.bin").relative_to(template / ".dvc/cache")
    rot(file)
    done = verify(folder / "data")
    assert f"corrupt  ../model.bin (stage ../dvc.yaml:train): {os.path.relpath(file, folder / 'data')}" in done.stdout
    assert heal_in_a_shell(folder / "data", done.stdout).returncode == 0


@pytest.mark.parametrize("remote", [True, False], ids=["remote", "alone"])
@pytest.mark.parametrize("lost", [True, False], ids=["lost", "cached"])
def test_a_poster_that_rots_in_the_workspace_is_named_and_healed(
    template: Path, tmp_path: Path, lost: bool, remote: bool
) -> None:
    folder = project(template, tmp_path, remote=remote)
    before, shard = contents(folder), folder / "data/posters/shard-00001.tar"
    dvc(folder, "status")
    rot(shard, 600)
    if lost:
        cached(folder, "data/posters/shard-00001.tar").unlink()
    else:
        assert "up to date" in dvc(folder, "status")
    done = verify(folder)
    assert done.returncode == 1
    assert (
        "corrupt  data/posters/shard-00001.tar: tt0000003.jpg is not the poster that the manifest describes\n"
        in done.stdout
    )
    assert "tt0000004" not in done.stdout
    healed = heal(folder, done.stdout)
    assert healed.returncode == 0, healed.stdout + healed.stderr
    assert contents(folder) == before


def test_a_shard_that_ends_early_or_is_no_tar_lacks_posters(template: Path, tmp_path: Path) -> None:
    folder = project(template, tmp_path)
    before = contents(folder)
    shards = [folder / f"data/posters/shard-0000{n}.tar" for n in range(3)]
    os.truncate(shards[0], 700)
    rot(shards[2], 0)
    output = verify(folder).stdout
    assert "shard-00000.tar: it cannot be read to its end" in output
    assert "shard-00000.tar: it lacks 2 of its 2 posters: tt0000001, tt0000002" in output
    assert "shard-00002.tar: it lacks 1 of its 1 posters: tt0000005" in output
    assert heal(folder, output).returncode == 0
    assert contents(folder) == before


def test_a_bad_shard_is_named_where_nothing_has_a_dvc_lock(template: Path, tmp_path: Path) -> None:
    folder = project(template, tmp_path)
    (folder / "dvc.lock").unlink()
    (folder / "data/posters/shard-00001.tar").write_bytes(b"no tar")
    done = verify(folder)
    assert done.returncode == 1
    assert "corrupt  data/posters/shard-00001.tar: " in done.stdout
    assert "0 objects corrupt, 0 lost, 2 faults in the shards" in done.stdout


def test_a_manifest_that_rots_in_the_workspace_is_brought_back(template: Path, tmp_path: Path) -> None:
    for place in (3, 200):  # in a column's name; in the first rows
        folder = project(template, tmp_path / str(place))
        before = contents(folder)
        rot(folder / "data/posters/manifest.csv", place)
        done = verify(folder)
        assert done.returncode == 1, done.stderr
        assert heal(folder, done.stdout).returncode == 0
        assert contents(folder) == before


def test_shards_that_a_stage_made_against_its_manifest_are_made_again(template: Path, tmp_path: Path) -> None:
    folder = project(template, tmp_path)
    before, script = contents(folder), (folder / "scrape.py").read_text()
    shard = "Path('data/posters/shard-00000.tar')"
    spoils = f"data = bytearray({shard}.read_bytes()); data[600] ^= 1; {shard}.write_bytes(data)"
    (folder / "scrape.py").write_text(script + spoils)
    dvc(folder, "repro", "-q")
    (folder / "scrape.py").write_text(script)
    done = verify(folder)
    assert "0 objects corrupt, 0 lost, 1 faults in the shards" in done.stdout
    assert "dvc repro --force --single-item scrape" in done.stdout
    assert heal(folder, done.stdout).returncode == 0
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("spoil", "begins", "names"),
    [
        (lambda folder: shutil.rmtree(folder / ".dvc"), "", "is in no DVC project; run this in a clone of yours"),
        (
            lambda folder: (folder / "dvc.lock").write_text("<<<<<<< HEAD\n"),
            "DVC cannot read this project: ",
            "dvc.lock",
        ),
    ],
    ids=["no project", "conflict"],
)
def test_what_dvc_cannot_read_costs_one_sentence(
    template: Path, tmp_path: Path, spoil: Any, begins: str, names: str
) -> None:
    folder = project(template, tmp_path)
    spoil(folder)
    done = verify(folder)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {begins}")
    assert names in done.stderr
    assert done.stderr.count("\n") == 1
