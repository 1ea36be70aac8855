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
    "postergenre/account.py": "It gives libraries the user's name and folders for caches. No stage asks for them.",
    "scraper/progress.py": "It counts posters for a terminal. The spider takes nothing back.",
}
SERVED = {
    "sample": "It serves the sample's posters over HTTP, as a host would. A poster's link carries the version of its "
    "drawing, so the catalogue changes when a drawing does.",
}
UNTRACKED = (*OBSERVERS, *SERVED)

# Stages list this room as a whole, for a model is read by the code that wrote it; `evaluate` needs most of its files.
WHOLE_ROOM = "postergenre/networks"

# The rooms from the lowest to the highest: a room imports from those in lines above it, and from itself.
ROOMS = (
    ("postergenre/errors.py",),
    ("postergenre/files.py", "postergenre/machine.py", "postergenre/params.py"),
    ("postergenre/params_edit.py",),
    ("postergenre/account.py",),
    ("postergenre/data", "sample"),
    ("postergenre/networks", "postergenre/dvc_project", "scraper", "postergenre/reading"),
    ("postergenre/prediction", "postergenre/evaluation"),
    ("postergenre/tracking",),
    ("postergenre/commands", "stages", "benchmarks"),
    ("postergenre/cli.py",),
)

# Where a library may be imported; gradients are asked from the backend itself, for Keras has no call for them.
LIBRARIES = {
    "mlflow": ("postergenre/tracking",),
    "dvc": ("postergenre/dvc_project",),
    "dvc_data": ("postergenre/dvc_project",),
    "scrapy": ("scraper",),
    "twisted": ("scraper",),
    "rapidocr": ("postergenre/reading",),
    "keras": (
        "postergenre/networks",
        "postergenre/prediction",
        "postergenre/tracking/logged_models.py",
        "postergenre/tracking/saved_models.py",
        "benchmarks",
    ),
    "tensorflow": ("postergenre/networks", "postergenre/prediction/gradcam.py"),
    "jax": ("postergenre/networks", "postergenre/prediction/gradcam.py"),
    "huggingface_hub": ("postergenre/networks/text_encoders",),
    "safetensors": ("postergenre/networks/text_encoders",),
    "tokenizers": ("postergenre/networks/text_encoders",),
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
    here = {file for file in code() if any(is_in(file, dep) for dep in deps) and holds_code(file)}
    assert not [str(file) for file in here - files if not is_in(file, WHOLE_ROOM)]
    with_code = [dep for dep in deps if any((ROOT / dep).rglob("*.py")) or dep.endswith(".py")]
    assert not [dep for dep in with_code if not any(is_in(file, dep) for file in files)]
    assert not [dep for dep in deps if any(is_in(Path(dep), place) for place in UNTRACKED)]


@pytest.mark.parametrize("place", UNTRACKED)
def test_what_no_stage_depends_on_is_imported_by_one_and_has_a_reason(place: str) -> None:
    users = {file for stage in STAGES for file in needed(stage)}
    users |= {file for file in code() if any(is_in(file, observer) for observer in OBSERVERS)}
    assert [file for file in users if any(is_in(other, place) for other in imported(file)) and not is_in(file, place)]
    assert (OBSERVERS | SERVED)[place].endswith(".")


# By observer: how it is imported, the names it has then, and the statements that use it and take nothing back.
USES = {
    "postergenre/tracking": (
        r"postergenre\.tracking",
        r"postergenre\.tracking|(?<!\.)\bruns?\b",
        r"from postergenre\.tracking import runs",
        r"with (.+, )?runs\.(training|evaluation)_run\([^()]*\) as run:",
        r"run\.log_\w+\(\w+\)",
        r"model = training\.fit\(.+, run\.log_epoch\)",
    ),
    "postergenre/dvc_project": (r"postergenre\.dvc_project", r"postergenre\.dvc_project"),
    "postergenre/account.py": (
        r"from postergenre import (.+, )?account\b",
        r"\baccount\b",
        r"from postergenre import (.+, )?account(, .+)?",
        r"account\.prepare\(\)",
    ),
    "scraper/progress.py": (
        r"scraper\.progress",
        r"\b[Pp]rogress\b",
        r"from scraper\.progress import Progress",
        r"def __init__\(.*\bprogress: Progress\b.*\):",
        r".*, self\.progress.* = .*, progress.*",
        r".*, progress=Progress\(len\(\w+\)\).*",
        r"self\.progress\.(count\(\w+(\.\w+)?\)|close\(\))",
    ),
}


def other_uses(source: str) -> list[str]:
    """The statements of a file that use an observer in another way than `USES` allows."""
    body = ast.parse(source)
    for node in ast.walk(body):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
    imported = " ".join(ast.unparse(node) for node in ast.walk(body) if isinstance(node, ast.Import | ast.ImportFrom))
    lines = [line.strip() for line in ast.unparse(body).splitlines()]
    return [
        line
        for module, name, *allowed in (USES[place] for place in OBSERVERS)
        if re.search(module, imported)
        for line in lines
        if re.search(name, line) and not any(re.fullmatch(way, line) for way in allowed)
    ]


def test_a_stage_takes_nothing_back_from_an_observer() -> None:
    users = {file for stage in STAGES for file in needed(stage)}
    assert not [f"{file}: {line}" for file in users for line in other_uses((ROOT / file).read_text())]


@pytest.mark.parametrize(
    "source",
    [
        "from postergenre.tracking.runs import training_run",
        "import postergenre.tracking.runs",
        "from postergenre.tracking import runs as observer",
        "from postergenre.tracking import runs\nwith runs.training_run(a, b) as run:\n    other = run",
        "from postergenre.tracking import runs\nwith runs.training_run(a, b) as run:\n    print(run.id)",
        "from postergenre.tracking import runs\nwith runs.training_run(a, b) as run:\n    getattr(run, 'id')",
        "from postergenre.tracking import runs\nkey = runs.keep()",
        "from postergenre.dvc_project import lockfile",
        "from scraper.progress import Progress\ndef count(progress: Progress):\n    return progress.counts",
    ],
)
def test_what_takes_something_back_is_noticed(source: str) -> None:
    assert other_uses(source)


def test_what_a_stage_calls_of_an_observer_returns_nothing() -> None:
    files = [file for file in code() if any(is_in(file, place) for place in OBSERVERS)]
    functions = [node for file in files for node in ast.walk(tree(file)) if isinstance(node, ast.FunctionDef)]
    returns = {node.name: ast.unparse(node.returns) for node in functions if node.returns}
    for name in ("log_epoch", "log_training", "log_evaluation", "count"):
        assert returns[name] == "None"
    for name in ("training_run", "evaluation_run"):
        assert returns[name] == "Iterator[Run]"


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


def libraries(file: Path) -> set[str]:
    """The libraries that a file imports; `backend` hands Keras on."""
    names = names_imported(file)
    return {name.split(".")[0] for name in names} | {"keras"} & {name.rpartition(".")[2] for name in names}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_is_imported_in_its_room_alone(library: str) -> None:
    users = [file for file in code() if library in libraries(file)]
    assert users
    assert not [str(file) for file in users if not any(is_in(file, place) for place in LIBRARIES[library])]


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC project with the code and a dvc.lock in which every stage has just run, with outputs of one byte."""
    from dvc.repo import Repo

    folder = tmp_path_factory.mktemp("project")
    for name in (*PACKAGES, "data/sample", "data/splits"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml", "text_encoders.lock", ".dvcignore"):
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
    body = tree(Path("stages", f"{stage}.py")).body
    kinds = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.FunctionDef, ast.If)
    assert all(isinstance(node, kinds) for node in body)
    assert [node.name for node in body if isinstance(node, ast.FunctionDef)] == ["main"]


def test_what_dvc_writes_is_ignored_by_git_and_what_git_keeps_is_not() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    for stage in STAGES.values():
        for out in stage["outs"]:
            # What DVC does not cache is for git to keep.
            name, cached = (
                (out, True) if isinstance(out, str) else next((n, o.get("cache", True)) for n, o in out.items())
            )
            assert (f"/{name}" in ignored) is cached


def test_nothing_is_imported_by_a_text() -> None:
    for file in code():
        calls = [ast.unparse(node) for node in ast.walk(tree(file)) if isinstance(node, ast.Call)]
        imports = [call for call in calls if call.startswith(("importlib.import_module(", "__import__("))]
        assert {*imports} <= {"importlib.import_module('keras')"}, file


def test_parameters_are_read_by_stages_and_commands_and_logged_by_tracking() -> None:
    reading = ("params.load", "params.read")
    for file in code():
        calls = {ast.unparse(node.func) for node in ast.walk(tree(file)) if isinstance(node, ast.Call)}
        # `predict` reads `scrape` to fetch a picture as a crawl would.
        rooms = ("stages", "benchmarks", "postergenre/commands", "postergenre/tracking")
        allowed = any(is_in(file, place) for place in rooms)
        assert allowed or not calls & {*reading}, file


def test_the_library_but_for_its_commands_knows_no_paths_of_the_project() -> None:
    library = (file for file in code() if is_in(file, "postergenre") and not is_in(file, "postergenre/commands"))
    for file in library:
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Path", "open"):
                paths = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
                assert not [path for path in paths if re.match(r"(data|models|reports|stages)(/|$)", str(path))], file
