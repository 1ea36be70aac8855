"""dvc.yaml and the rooms of the code: what a stage depends on, what imports what, and which library is used where."""

import ast
import re
import shutil
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import ROOT

STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PACKAGES = ("postergenre", "scraper", "sample", "stages")

# Code that a stage imports and does not depend on, with the reason why its result cannot differ.
OBSERVERS = {
    "postergenre/tracking": "It logs runs in MLflow. A stage gives to it and takes nothing back.",
    "postergenre/dvc_project": "It reads DVC's files for the code above it. No stage calls it.",
    "scraper/progress.py": "It counts posters for a terminal. The spider takes nothing back.",
}
SERVED = {
    "sample": "It serves the sample's posters over HTTP, as a host would. A poster's link carries the version of its "
    "drawing, so the catalogue changes when a drawing does.",
}
UNTRACKED = (*OBSERVERS, *SERVED)

# The rooms from the lowest to the highest: a room imports from those in lines above it, and from itself.
ROOMS = (
    ("postergenre/errors.py",),
    ("postergenre/files.py", "postergenre/params.py"),
    ("postergenre/data", "sample"),
    ("postergenre/networks", "postergenre/dvc_project", "scraper"),
    ("postergenre/prediction", "postergenre/evaluation"),
    ("postergenre/tracking",),
    ("postergenre/cli.py", "stages", "benchmarks"),
)

# Where a library may be imported; gradients are asked from the backend itself, for Keras has no call for them.
LIBRARIES = {
    "mlflow": ("postergenre/tracking",),
    "dvc": ("postergenre/dvc_project",),
    "dvc_data": ("postergenre/dvc_project",),
    "scrapy": ("scraper",),
    "twisted": ("scraper",),
    "keras": ("postergenre/networks",),
    "tensorflow": ("postergenre/networks", "postergenre/prediction/gradcam.py"),
    "jax": ("postergenre/networks", "postergenre/prediction/gradcam.py"),
}


def is_in(file: Path, place: str) -> bool:
    """Whether a file is a place, or lies in it."""
    return file.is_relative_to(place)


def code() -> Iterator[Path]:
    """Every file of the project's code but the tests, relative to the root."""
    for package in (*PACKAGES, "benchmarks"):
        yield from sorted(file.relative_to(ROOT) for file in (ROOT / package).rglob("*.py"))


def tree(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text())


def names_imported(file: Path) -> set[str]:
    """Every dotted name that a file imports, wherever the import stands."""
    names: set[str] = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: relative import"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and re.fullmatch(r"scraper(\.\w+)+", str(node.value)):
            names.add(str(node.value))  # Scrapy's settings name classes
    return names


def file_of(module: str) -> Path | None:
    """The file of the project that a dotted name is, relative to the root."""
    if module.split(".")[0] not in (*PACKAGES, "benchmarks"):
        return None
    path = Path(*module.split("."))
    return next((f for f in (path.with_suffix(".py"), path / "__init__.py") if (ROOT / f).exists()), None)


def imported(file: Path) -> set[Path]:
    """The files of the project that a file imports, with the packages around them."""
    names = names_imported(file)
    names |= {name.rsplit(".", depth)[0] for name in names for depth in range(1, name.count(".") + 1)}
    return {path for name in names if (path := file_of(name))}


def holds_code(file: Path) -> bool:
    """Whether there is more in a file than a docstring."""
    return any(not isinstance(node, ast.Expr) for node in tree(file).body)


def needed(stage: str) -> set[Path]:
    """The files that can change a stage's result: all that it imports, directly or through others."""
    known, fresh = set(), {Path("stages", f"{stage}.py")}
    while fresh:
        known |= fresh
        fresh = {other for file in fresh for other in imported(file)} - known
        fresh = {file for file in fresh if not any(is_in(file, place) for place in UNTRACKED)}
    return {file for file in known if holds_code(file)}


def code_deps(stage: str) -> list[str]:
    """The files and folders of code that dvc.yaml lists for a stage."""
    return [dep for dep in STAGES[stage]["deps"] if dep.startswith(tuple(f"{name}/" for name in PACKAGES))]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_code_that_can_change_its_result_and_on_no_other(stage: str) -> None:
    files, deps = needed(stage), code_deps(stage)
    assert not [str(file) for file in files if not any(is_in(file, dep) for dep in deps)]
    assert not [dep for dep in deps if not any(is_in(file, dep) for file in files)]
    assert not [dep for dep in deps if any(is_in(Path(dep), place) for place in UNTRACKED)]


@pytest.mark.parametrize("place", UNTRACKED)
def test_what_no_stage_depends_on_is_imported_by_one_and_has_a_reason(place: str) -> None:
    assert (ROOT / place).exists()
    assert len((OBSERVERS | SERVED)[place]) > 20


def observed(file: Path) -> Iterator[tuple[str, str]]:
    """(class or function, attribute) of an observer that a file uses; the attribute is "" for a call of a function.

    An object of an observer is one that its context manager yields, or a parameter of its class.
    """
    modules = {
        name.rpartition(".")[2]: path
        for name in names_imported(file)
        if (path := file_of(name)) and any(is_in(path, place) for place in OBSERVERS)
    }
    classes = {
        name.rpartition(".")[2]
        for name in names_imported(file)
        if (path := file_of(name.rpartition(".")[0])) and any(is_in(path, place) for place in OBSERVERS)
    }
    objects: set[str] = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.withitem) and isinstance(node.context_expr, ast.Call):
            function = node.context_expr.func
            if isinstance(function, ast.Attribute) and ast.unparse(function.value) in modules:
                yield function.attr, ""
                objects |= {node.optional_vars.id} if isinstance(node.optional_vars, ast.Name) else set()
        if isinstance(node, ast.arg) and node.annotation and ast.unparse(node.annotation) in classes:
            objects.add(node.arg)
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).removeprefix("self.") in objects:
            yield "", node.attr
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in modules:
            yield node.attr, ""


def returned(name: str) -> set[str]:
    """What the functions and methods with a name return in the observers' files, by their annotations."""
    files = (file for file in code() if any(is_in(file, place) for place in OBSERVERS))
    functions = (node for file in files for node in ast.walk(tree(file)) if isinstance(node, ast.FunctionDef))
    return {ast.unparse(node.returns) for node in functions if node.name == name and node.returns}


def test_an_observer_gives_nothing_back() -> None:
    users = {file for stage in STAGES for file in needed(stage)}
    used = {(file, *name) for file in users for name in observed(file)}
    assert {file for file, _, _ in used} >= {Path("stages/train.py"), Path("stages/evaluate.py")}
    for file, function, method in used:
        # A context manager yields an object, of which the methods that are used return nothing.
        allowed = {"None"} if method else {"None", "Iterator[Run]"}
        assert returned(method or function) <= allowed, f"{file} takes what {method or function} returns"
        assert returned(method or function), f"{file}: {method or function} is no function of an observer"


def test_the_sample_has_one_door() -> None:
    names = {name for file in code() if not is_in(file, "sample") for name in names_imported(file)}
    assert {name for name in names if name.split(".")[0] == "sample"} == {"sample", "sample.site"}


def room_of(file: Path) -> str:
    return next(room for level in ROOMS for room in level if is_in(file, room))


LEVEL = {room: number for number, level in enumerate(ROOMS) for room in level}


def test_imports_run_downwards() -> None:
    upward = [
        f"{file} imports {other}"
        for file in code()
        for other in imported(file)
        if holds_code(other) and room_of(file) != room_of(other) and LEVEL[room_of(other)] >= LEVEL[room_of(file)]
    ]
    assert not upward


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_imported_in_its_room_alone(library: str) -> None:
    users = [file for file in code() if library in {name.split(".")[0] for name in names_imported(file)}]
    assert users
    assert not [str(file) for file in users if not any(is_in(file, place) for place in LIBRARIES[library])]


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC project with the code and a dvc.lock in which every stage has just run, with outputs of one byte."""
    from dvc.repo import Repo

    folder = tmp_path_factory.mktemp("project")
    for name in (*PACKAGES, "data/sample", "data/splits"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, folder / name)
    for stage in STAGES.values():
        for out in [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]:
            file = folder / (out if isinstance(out, str) else next(iter(out)))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("x") if file.suffix else file.mkdir()
    (folder / "data/posters/manifest.csv").write_text("x")
    with chdir(folder), Repo.init(no_scm=True) as repo:
        repo.commit(force=True)
    return folder


def outdated(project: Path) -> set[str]:
    """The stages that `dvc status` names."""
    from dvc.repo import Repo

    with chdir(project), Repo() as repo:
        return {*repo.status()}


@pytest.mark.parametrize(
    ("place", "stages"),
    [
        *((place, set()) for place in UNTRACKED),
        ("postergenre/networks", {"train", "evaluate"}),
        ("postergenre/evaluation", {"evaluate"}),
        ("postergenre/errors.py", {*STAGES}),
    ],
)
def test_a_change_of_code_outdates_the_stages_that_depend_on_it(committed: Path, place: str, stages: set[str]) -> None:
    files = [committed / place] if place.endswith(".py") else sorted((committed / place).rglob("*.py"))
    before = {file: file.read_bytes() for file in files}
    assert outdated(committed) == set()
    try:
        for file in files:
            file.write_bytes(before[file] + b"\n# changed\n")
        assert outdated(committed) == stages
    finally:
        for file in files:
            file.write_bytes(before[file])


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_tracks_the_sections_that_it_loads(stage: str) -> None:
    loaded = set()
    for node in ast.walk(tree(Path("stages", f"{stage}.py"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "params.load":
            name = node.args[0]
            loaded.add(name.value if isinstance(name, ast.Constant) else ast.unparse(name)[2:-1].replace("{", "${"))
    assert set(STAGES[stage]["params"]) == loaded


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_a_module_with_its_name_and_says_what_it_does(stage: str) -> None:
    assert STAGES[stage]["cmd"] == f"python -m stages.{stage}"
    assert STAGES[stage]["desc"]
    docstring = ast.get_docstring(tree(Path("stages", f"{stage}.py"))) or ""
    for word in (f"{stage}: ", "Reads ", "Writes ", "Params "):
        assert word in docstring


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_knows_paths_and_the_library_does_the_work(stage: str) -> None:
    defined = [node.name for node in tree(Path("stages", f"{stage}.py")).body if isinstance(node, ast.FunctionDef)]
    assert defined == ["main"]


def test_what_dvc_writes_is_ignored_by_git_and_what_git_keeps_is_not() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    for stage in STAGES.values():
        for out in stage["outs"]:
            # What DVC does not cache is for git to keep.
            name, cached = (out, True) if isinstance(out, str) else next((n, o["cache"]) for n, o in out.items())
            assert (f"/{name}" in ignored) is cached


def test_the_library_but_for_its_command_knows_no_paths_of_the_project() -> None:
    for file in (file for file in code() if is_in(file, "postergenre") and file.name != "cli.py"):
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Path":
                named = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
                assert not [path for path in named if str(path).startswith(("data/", "models", "stages/"))], file
