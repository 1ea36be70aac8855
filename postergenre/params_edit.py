"""Changes values in `params.yaml` and leaves all else as it stands: comments, order and spaces."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from postergenre import files, params
from postergenre.errors import InputError


def change(file: Path, values: Mapping[str, Any]) -> list[str]:
    """Set keys of a file to values.

    values: by the key's whole name, such as `resize.height`.

    Returns: a line for each key that had another value; none where the file was left alone.

    Raises:
        InputError: the file is no YAML, lacks a key, or writes one in a way that cannot be changed by itself.
    """
    text = params.read_text(file)
    before = _parse(file, text)
    after, changed = edit(file, text, before, values), []
    for name, value in values.items():
        if _get(before, name) != value:
            changed.append(f"{name}: {write(value)}")
    if after != text:
        with files.atomic_write(file) as new:
            new.write_bytes(after.encode())
    return changed


def check_names(file: Path, names: Iterable[str]) -> None:
    """Check that no key is written by its whole name, as messages have it: nothing would read it.

    names: of the sections.

    Raises:
        InputError: one is.
    """
    for name in names:
        section, _, key = name.partition(".")
        if key:
            raise InputError(f"{file} has {name} at its top; write {key} in the section {section} there")


def edit(file: Path, text: str, before: Any, values: Mapping[str, Any]) -> str:
    """The text of a file with other values.

    before: what the text says.

    Raises:
        InputError: as `change`.
    """
    root, expected = yaml.compose(text, Loader=yaml.SafeLoader), _copy(before)
    spans: list[tuple[int, int, str]] = []
    for name, value in values.items():
        node = _find(root, name.split("."))
        if node is None:
            raise InputError(f"{file} has no {name}; it should have this key")
        if _get(before, name) != value:
            start, end = node.start_mark.index, _end(node)
            spans.append((start, end, write(value) if end > start else f" {write(value)}"))
            parent, _, key = name.rpartition(".")
            (_get(expected, parent) if parent else expected)[key] = value
    for start, end, written in sorted(spans, reverse=True):
        text = text[:start] + written + text[end:]
    if not _says(text, expected):
        raise InputError(f"{file} writes one of {', '.join(values)} with an anchor or a tag; write its value there")
    return text


def write(value: Any) -> str:
    """A value as YAML, on one line."""
    return yaml.safe_dump(
        [value], default_flow_style=True, width=float("inf"), allow_unicode=True, sort_keys=False
    ).strip()[1:-1]


def _parse(file: Path, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{file} is not YAML: {' '.join(str(error).split())}") from None


def _says(text: str, expected: Any) -> bool:
    """Whether a text is YAML for this value."""
    try:
        return bool(yaml.safe_load(text) == expected)
    except yaml.YAMLError:
        return False


def _copy(value: Any) -> Any:
    """A copy in which no two keys share a value, as they do by an alias."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _get(value: Any, name: str) -> Any:
    for key in name.split("."):
        value = value[key]
    return value


def _find(node: yaml.Node | None, keys: list[str]) -> yaml.Node | None:
    """The node of a key in a key; of a key that stands twice, the last, as YAML's readers have it."""
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for name, value in reversed(pairs) if name.value == key), None)
    return node


def _end(node: yaml.Node) -> int:
    """Where a node's text ends. A block's own mark stands behind the comments that follow it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)
