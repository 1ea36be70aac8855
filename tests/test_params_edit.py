"""Changing values in params.yaml: what else stands in the file stays, byte for byte."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from postergenre import params_edit
from postergenre.errors import InputError

TEXT = """# The whole.
scrape:
  catalogue: films.csv  # a path
  source:
    - poster
    - page
  # Pixels.
  width: null
  empty:
networks:
  own: {input: {height: 12, width: 8, scale: 'unit'}}  # small
"""


@pytest.mark.parametrize(
    ("key", "value", "before", "after"),
    [
        ("scrape.catalogue", "my films/é.csv", "catalogue: films.csv  #", "catalogue: my films/é.csv  #"),
        ("scrape.catalogue", "1900", "catalogue: films.csv", "catalogue: '1900'"),
        ("scrape.catalogue", "a: b", "catalogue: films.csv", "catalogue: 'a: b'"),
        ("scrape.width", 300, "width: null", "width: 300"),
        ("scrape.source", "poster", "source:\n    - poster\n    - page\n", "source:\n    poster\n"),
        ("scrape.empty", 1, "empty:\n", "empty: 1\n"),
        ("networks.own.input.width", 16, "width: 8", "width: 16"),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_one_value_changes_and_nothing_else(
    tmp_path: Path, key: str, value: Any, before: str, after: str, ending: str
) -> None:
    file = tmp_path / "params.yaml"
    file.write_bytes(TEXT.replace("\n", ending).encode())
    assert params_edit.change(file, {key: value}) == [f"{key}: {params_edit.write(value)}"]
    expected = TEXT.replace(before, after)
    assert expected != TEXT
    assert file.read_bytes().decode().replace(ending, "\n") == expected
    assert params_edit.change(file, {key: value}) == []


def test_several_values_change_at_once_and_equal_ones_keep_their_spelling(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(TEXT)
    values = {"networks.own.input.scale": "unit", "networks.own.input.height": 1000, "scrape.width": 7}
    assert params_edit.change(file, values) == ["networks.own.input.height: 1000", "scrape.width: 7"]
    assert file.read_text() == TEXT.replace("height: 12", "height: 1000").replace("width: null", "width: 7")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [\n", "is not YAML"),
        ("a: 1\n", "has no a.b; it should have this key"),
        ("a: {c: 1}\n", "has no a.b"),
        ("x: &x {b: 1}\na: *x\n", "writes one of a.b with an anchor or a tag"),
        ("a: !!str\n  b: 1\n", "is not YAML"),
        ("", "has no a.b"),
    ],
)
def test_what_cannot_be_changed_is_refused_and_left_alone(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        params_edit.change(file, {"a.b": 2})
    assert file.read_text() == text


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    with pytest.raises(InputError, match="is missing"):
        params_edit.change(file, {})
    file.write_bytes("a: é\n".encode("latin-1"))
    with pytest.raises(InputError, match="line 1 is not in UTF-8; save"):
        params_edit.change(file, {"a": 1})


def test_of_a_key_that_stands_twice_the_last_counts(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text("a: 1\na: 2\n")
    params_edit.change(file, {"a": 3})
    assert yaml.safe_load(file.read_text()) == {"a": 3}
    assert file.read_text() == "a: 1\na: 3\n"
