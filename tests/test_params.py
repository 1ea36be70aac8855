from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from postergenre import params
from postergenre.data.packing import ResizeParams
from postergenre.data.splits import DatasetParams
from postergenre.errors import InputError
from scraper.plan import ScrapeParams
from tests.support import ROOT

GOOD = "resize: {height: 150, width: 100, fit: crop}\nnetworks: {student_cnn: {}, resnet: {}}\n"


def written(folder: Path, text: str) -> Path:
    file = folder / "params.yaml"
    file.write_text(text)
    return file


def test_a_section_is_read_as_written(tmp_path: Path) -> None:
    resize = params.load("resize", ResizeParams, written(tmp_path, GOOD))
    assert (resize.height, resize.width, resize.fit) == (150, 100, "crop")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD.replace("fit: crop", "fit: crop, speed: 3"), "resize.speed is not a known key"),
        (GOOD.replace(", fit: crop", ""), "resize.fit is missing"),
        (GOOD.replace("150", "'150'"), "resize.height is '150'; it should be a valid integer"),
        (GOOD.replace("150", "0"), "resize.height is 0; it should be greater than or equal to 8"),
        (GOOD.replace("crop", "zoom"), "resize.fit is 'zoom'; it should be 'crop', 'pad' or 'stretch'"),
        (GOOD.replace("resize:", "size:"), "has no section resize; there are: size, networks"),
        ("- a\n", "holds list; it must hold sections"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_wrong_section_is_named_with_what_would_be_right(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(InputError) as error:
        params.load("resize", ResizeParams, written(tmp_path, text))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_in_another_encoding_is_refused_by_its_line(tmp_path: Path) -> None:
    file = written(tmp_path, "")
    file.write_bytes("resize:\n  height: 150\n  # d\xe9j\xe0 vu\n".encode("cp1252"))
    with pytest.raises(InputError) as error:
        params.load("resize", ResizeParams, file)
    assert str(error.value) == f"{file}, line 3 is not in UTF-8; save the file in UTF-8"


def test_the_error_for_an_unknown_network_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no section networks\.vgg; there are: student_cnn, resnet"):
        params.load("networks.vgg", ResizeParams, written(tmp_path, GOOD))


def test_every_key_of_the_projects_params_has_a_comment() -> None:
    """Above it, with at most one line between, or at the end of its line; a network's key where it first appears."""
    lines = (ROOT / "params.yaml").read_text().splitlines()
    explained: set[tuple[str, ...]] = set()
    for path, number in keys_with_lines(yaml.compose("\n".join(lines))):
        if path[0] == "networks" and len(path) > 2:
            path = ("networks", "NAME", *path[2:])
        if path in explained:
            continue
        above = [line.lstrip().startswith("#") for line in lines[max(number - 2, 0) : number]]
        assert " # " in lines[number] or any(above), f"line {number + 1}: {'.'.join(path)}"
        explained.add(path)
    assert ("networks", "NAME", "architecture", "blocks", "expansion") in explained


def test_no_line_of_the_projects_params_is_longer_than_120_characters() -> None:
    assert not [line for line in (ROOT / "params.yaml").read_text().splitlines() if len(line) > 120]


def keys_with_lines(node: yaml.Node | None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int]]:
    """Each key below a node as its path, without numbers of list items, and its line, counted from 0."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            yield inner, key.start_mark.line
            yield from keys_with_lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from keys_with_lines(item, path)


def test_no_key_is_one_that_dvc_leaves_out_of_the_run_cache() -> None:
    """It drops what is called so, at any depth, before it asks whether a stage has run: `_get_cache_hash` in it."""

    def keys(value: Any) -> set[str]:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return {*(value if isinstance(value, dict) else ())}.union(*map(keys, inner))

    assert {"poster_width", "filters"} <= (known := keys(params.read(ROOT / "params.yaml")))
    assert known.isdisjoint({"size", "nfiles"})


def test_shares_that_leave_nothing_to_train_on_are_refused() -> None:
    section = params.read(ROOT / "params.yaml")["dataset"]
    with pytest.raises(InputError, match="nothing is left to train on"):
        params.parse("dataset", DatasetParams, section | {"val_share": 0.6, "test_share": 0.4})


@pytest.mark.parametrize("text", ["me\nX-Evil: 1", "J\xfcrgen"])
@pytest.mark.parametrize("key", ["user_agent", "contact"])
def test_what_does_not_fit_a_header_is_refused(key: str, text: str) -> None:
    section = params.read(ROOT / "params.yaml")["scrape"]
    with pytest.raises(InputError, match=rf"scrape\.{key}: .*one line of ASCII characters"):
        params.parse("scrape", ScrapeParams, section | {key: text})
