"""README.md, docs/ and benchmarks/README.md: links lead somewhere, what they name exists, commands are accounted for.

Above each block of commands stands a comment: the test that runs them, `run here`, or the reason why nothing runs them.
docs/contributing.md describes it. Only the test of the example networks imports TensorFlow.
"""

import ast
import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from postergenre import cli
from tests import support
from tests.support import ROOT

PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / f"{name}/README.md" for name in ("benchmarks", "data/splits")),
]
PARAMS: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()

PROGRAMS = {
    *("adduser", "apt", "curl", "dvc", "export", "git", "make", "mlflow", "pip", "postergenre", "pytest", "python"),
    *("rsync", "source", "sudo", "systemctl", "uv"),
}
# What the folders of the project that git keeps are called: code that begins so is taken for a file's name.
FOLDERS = ("postergenre/", "scraper/", "sample/", "stages/", "benchmarks/", "tests/", "docs/", ".github/", ".ci/")


@dataclass(frozen=True)
class Block:
    """A block of code in a page.

    page: where it stands.
    line: of its first line, counted from 1.
    text: without the indentation.
    comment: what the HTML comment above it says, or "".
    """

    page: Path
    line: int
    text: str
    comment: str

    @property
    def place(self) -> str:
        """Where to find it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The lines that begin with a program, without the comments at their ends."""
        lines = [line.removeprefix("$ ") for line in re.sub(r"\\\n\s*", "", self.text).splitlines()]
        return [re.sub(r"\s+#.*", "", line) for line in lines if line.split(" ")[0] in PROGRAMS]


def blocks(page: Path) -> Iterator[Block]:
    """The fenced and the indented blocks of a page."""
    lines = page.read_text().splitlines()
    start = 0
    while start < len(lines):
        end = start + 1
        if lines[start].startswith("```"):
            while lines[end] != "```":
                end += 1
            yield _block(page, start, lines, lines[start + 1 : end])
            end += 1
        elif lines[start].startswith("    ") and (not lines[start - 1] or lines[start - 1].startswith("<!--")):
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end]):
                end += 1
            yield _block(page, start, lines, [line[4:] for line in lines[start:end]])
        start = end


def _block(page: Path, start: int, lines: list[str], text: list[str]) -> Block:
    comment = re.fullmatch(r"<!-- (.*) -->", lines[start - 1])
    return Block(page, start + 1, "\n".join(text), comment[1] if comment else "")


def prose(page: Path) -> str:
    """A page without its blocks of code and its comments."""
    text = re.sub(r"<!--.*?-->", "", page.read_text())
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^    .*$", "", text, flags=re.MULTILINE)


def inline_code(page: Path) -> list[str]:
    """What stands between backticks in a page's prose, lines joined."""
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose(page))]


BLOCKS = [block for page in PAGES for block in blocks(page)]
COMMANDS = [block for block in BLOCKS if block.commands]
EXAMPLES = [block for block in BLOCKS if block.comment.startswith("example: ")]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = prose(page)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for link in links:
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{named(page)} links to {link}, which is not there"
        assert not anchor or anchor in anchors(target), f"{named(page)} links to {link}; no heading has this anchor"


def test_the_index_links_every_page() -> None:
    text = (ROOT / "docs/README.md").read_text()
    assert not [page.name for page in (ROOT / "docs").glob("[a-z]*.md") if f"({page.name})" not in text]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    for code in inline_code(page):
        name = code.split("::")[0].split(" ")[0]
        if name.startswith(FOLDERS) and not re.search(r"[A-Z*]{3,}", name):
            assert (ROOT / name).exists(), f"{named(page)} names {name}, which is not there"


def defined(file: Path) -> set[str]:
    """The names that a module defines at its top level."""
    names: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return names


def test_what_to_look_for_is_in_the_files_that_a_row_names() -> None:
    rows = re.findall(r"^\| .* \|$", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
    checked = 0
    for row in rows:
        codes = re.findall(r"`([^`]+)`", row)
        files = [ROOT / code for code in codes if code.endswith(".py")]
        wanted = [code for code in codes if re.fullmatch(r"[A-Z]\w+|[a-z]+(_[a-z]+)*", code)]
        if not files or not wanted or "/" not in row or row.count("|") != 4:
            continue
        names = {name for file in files for name in defined(file)} | _imported(files)
        missing = {code for code in wanted if code not in names and code not in PARAMS}
        assert not missing, f"docs/architecture.md: {', '.join(sorted(missing))} is in none of the files of {row}"
        checked += len(wanted)
    assert checked > 10


def _imported(files: list[Path]) -> set[str]:
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    return {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}


def test_every_block_of_commands_says_who_runs_it() -> None:
    without = [block.place for block in COMMANDS if not re.match(r"run: |run here$|not run: ", block.comment)]
    assert not without, f"a comment should stand above each of these, see docs/contributing.md: {', '.join(without)}"


@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: block.place)
def test_the_tests_that_a_comment_names_exist_and_a_reason_is_given(block: Block) -> None:
    kind, _, text = block.comment.partition(":")
    assert text.strip() or kind == "run here"
    for test in re.findall(r"tests/[\w/]+\.py(?:::\w+)?", text):
        file, _, name = test.partition("::")
        assert (ROOT / file).exists(), f"{block.place} names {file}, which is not there"
        assert not name or name in defined(ROOT / file), f"{block.place} names {test}; that file has no such test"
    assert kind != "run" or "tests/" in text, f"{block.place} names no test"


def subcommands(command: str) -> list[str]:
    """The words of a command that are no values: `exp`, `run` and `--queue` of `dvc exp run --queue`."""
    words = re.sub(r"[&|>].*", "", command).split()
    verbs = words[1 : 3 if words[:2] in (["dvc", "exp"], ["dvc", "metrics"], ["dvc", "plots"]) else 2]
    if words[0] == "export":
        verbs = [words[1].split("=")[0]]
    return verbs + [word for word in words if word.startswith("--")]


@pytest.mark.parametrize("block", [b for b in COMMANDS if b.comment.startswith("run: ")], ids=lambda block: block.place)
def test_the_tests_that_a_comment_names_use_its_commands(block: Block) -> None:
    text = "".join((ROOT / file).read_text() for file in re.findall(r"tests/[\w/]+\.py", block.comment))
    for command in block.commands:
        missing = [word for word in subcommands(command) if word not in text]
        assert not missing, f"{block.place}: {command}: {missing} is not in the tests that are named there"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as git has it."""
    folder = tmp_path_factory.mktemp("project")
    for name in support.run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.mark.parametrize("block", [b for b in COMMANDS if b.comment == "run here"], ids=lambda block: block.place)
def test_commands_that_are_cheap_run(block: Block, copy: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in block.commands:
        done = subprocess.run(
            shlex.split(command), cwd=copy, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, f"{block.place}: {command}\n{done.stdout}{done.stderr}"


def written_commands() -> Iterator[tuple[str, list[str]]]:
    """Where a command stands, and its words: those of blocks and those between backticks."""
    for block in COMMANDS:
        yield from ((block.place, command.split()) for command in block.commands)
    for page in PAGES:
        yield from ((named(page), code.split()) for code in inline_code(page) if code.split(" ")[0] in PROGRAMS)


def help_of(*words: str) -> str:
    """What `--help` prints after these words of the command `postergenre`; "" for a command that does not exist."""
    text = io.StringIO()
    with redirect_stdout(text), redirect_stderr(io.StringIO()), pytest.raises(SystemExit):
        cli.main([*words, "--help"])
    return text.getvalue()


def test_every_command_and_option_of_ours_exists() -> None:
    for place, words in written_commands():
        if words[0] != "postergenre" or len(words) == 1:
            continue
        options = {word.split("=")[0] for word in words[1:] if word.startswith("--")}
        command = [word for word in words[1:2] if word not in options]
        if command == ["repro"]:
            continue  # its options are those of `dvc repro`
        text = help_of(*command)
        assert text, f"{place}: postergenre has no command {words[1]}"
        missing = options - set(re.findall(r"--[\w-]+", text))
        assert not missing, f"{place}: {' '.join(words[:2])} has no option {', '.join(missing)}"


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    for place, words in written_commands():
        if words[0] == "make" and len(words) > 1:
            assert words[1] in targets, f"{place}: the Makefile has no target {words[1]}"


def test_every_module_of_ours_that_is_run_exists() -> None:
    for place, words in written_commands():
        if words[:2] == ["python", "-m"] and words[2].split(".")[0] in ("benchmarks", "sample", "stages", "tests"):
            assert importlib.util.find_spec(words[2]), f"{place}: there is no module {words[2]}"


def examples() -> dict[str, Any]:
    """The networks that the pages give as examples, by name."""
    networks: dict[str, Any] = {}
    for block in EXAMPLES:
        networks |= yaml.safe_load(block.text)["networks"]
    return networks


def has(value: Any, keys: list[str]) -> bool:
    """Whether a value of params.yaml has these keys, one inside another. NAME stands for any network."""
    for number, key in enumerate(keys):
        if key == "NAME":
            return any(has(network, keys[number + 1 :]) for network in value.values())
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            return False
    return True


def test_every_parameter_that_is_named_is_in_params_yaml() -> None:
    # But for one with a `+`, by which `-S` adds an optional key.
    params = PARAMS | {"networks": PARAMS["networks"] | examples()}
    sections = "|".join(PARAMS)
    for page in PAGES:
        for key in re.findall(rf"(?<![\w/.+])(?:{sections})(?:\.\w+)+(?!\w*[/(])", page.read_text()):
            if key.endswith((".csv", ".py", ".md")) or key.split(".")[1] in ("csv", "py", "md", "json"):
                continue
            assert has(params, key.split(".")), f"{named(page)} names {key}, which params.yaml has not"


def test_every_network_that_is_chosen_exists() -> None:
    for page in PAGES:
        for network in re.findall(r"train\.network=(\w+)", page.read_text()):
            assert network in PARAMS["networks"] | examples(), f"{named(page)}: there is no network {network}"


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block.comment)
def test_an_example_of_a_network_can_be_built(block: Block, tmp_path: Path) -> None:
    from postergenre import params
    from postergenre.networks import architecture, config

    file, name = tmp_path / "params.yaml", block.comment.removeprefix("example: ")
    file.write_text(block.text)
    network = params.load(name, config.Network, file)
    model = architecture.build(network.architecture, 268, 182, [0.5, 0.1], 1, "example")
    assert model.output_shape == (None, 2)


def test_the_poster_of_the_readme_is_the_sample_s_drawing() -> None:
    from sample import films, poster

    film = films.read(films.CATALOGUE)["tt99000744"]
    assert (ROOT / "docs/poster.jpg").read_bytes() == poster.jpeg(film)
