"""dvc.yaml says what the stages do: the files they import, the sections they load, the module they are."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import ROOT

STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PACKAGES = ("postergenre", "scraper", "stages")


def file_of(module: str) -> Path | None:
    """The first-party file that a dotted name is, relative to the root."""
    if module.split(".")[0] not in PACKAGES:
        return None
    path = Path(*module.split("."))
    return next((f for f in (path.with_suffix(".py"), path / "__init__.py") if (ROOT / f).exists()), None)


def imported(file: Path) -> set[Path]:
    """The first-party files that a file names, in imports wherever they stand, with the packages around them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: relative import"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and re.fullmatch(r"scraper(\.\w+)+", str(node.value)):
            found.add(str(node.value))  # Scrapy's settings name classes
    found |= {name.rsplit(".", depth)[0] for name in found for depth in range(1, name.count(".") + 1)}
    return {path for name in found if (path := file_of(name))}


def closure(file: Path) -> set[Path]:
    known, fresh = set(), {file}
    while fresh:
        known |= fresh
        fresh = {other for one in fresh for other in imported(one)} - known
    return known


def without_code(file: Path) -> bool:
    return not [node for node in ast.parse((ROOT / file).read_text()).body if not isinstance(node, ast.Expr)]


def first_party(stage: str) -> set[Path]:
    """What a stage's result may depend on: all it imports, but for packages that only carry a docstring."""
    return {file for file in closure(Path("stages", f"{stage}.py")) if not without_code(file)}


def below_a_folder(file: Path, stage: str) -> bool:
    """Whether the stage depends on a whole folder that the file is in."""
    return any(str(parent) in STAGES[stage]["deps"] for parent in file.parents)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_every_first_party_file_that_it_imports(stage: str) -> None:
    listed = {Path(dep) for dep in STAGES[stage]["deps"] if dep.endswith(".py")}
    assert listed == {file for file in first_party(stage) if not below_a_folder(file, stage)}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_tracks_the_sections_that_it_loads(stage: str) -> None:
    loaded = set()
    for node in ast.walk(ast.parse((ROOT / "stages" / f"{stage}.py").read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "params.load":
            name = node.args[0]
            loaded.add(name.value if isinstance(name, ast.Constant) else ast.unparse(name)[2:-1].replace("{", "${"))
    assert set(STAGES[stage]["params"]) == loaded


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_a_module_with_its_name_and_says_what_it_does(stage: str) -> None:
    assert STAGES[stage]["cmd"] == f"python -m stages.{stage}"
    assert STAGES[stage]["desc"]
    docstring = ast.get_docstring(ast.parse((ROOT / "stages" / f"{stage}.py").read_text())) or ""
    for word in (f"{stage}: ", "Reads ", "Writes ", "Params "):
        assert word in docstring


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_thin(stage: str) -> None:
    tree = ast.parse((ROOT / "stages" / f"{stage}.py").read_text())
    (main,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    assert main.end_lineno is not None
    assert main.end_lineno - main.lineno < 25


def test_what_dvc_writes_is_ignored_by_git_and_what_git_keeps_is_not() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    for stage in STAGES.values():
        for out in stage["outs"]:
            # What DVC does not cache is for git to keep.
            name, cached = (out, True) if isinstance(out, str) else next((n, o["cache"]) for n, o in out.items())
            assert (f"/{name}" in ignored) is cached


def test_only_the_modules_that_keep_runs_talk_to_mlflow() -> None:
    importers = set()
    for file in (file for package in (*PACKAGES, "benchmarks") for file in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            importers |= {file.relative_to(ROOT).as_posix() for name in names if name.split(".")[0] == "mlflow"}
    assert importers == {f"postergenre/{name}.py" for name in ("delivery", "registry", "tracking", "tracking_store")}


def test_the_library_but_for_its_command_knows_no_paths_of_the_project() -> None:
    for file in sorted({*(ROOT / "postergenre").glob("*.py")} - {ROOT / "postergenre/cli.py"}):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Path":
                named = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
                assert not [path for path in named if str(path).startswith(("data/", "models", "stages/"))], file
