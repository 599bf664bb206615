"""A folder of pictures with a sub-folder a class; `train`, `val` and `test` may be above the classes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..dataset import Example

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def files(root: Path) -> Iterator[Path]:
    """The pictures below a folder, sorted, as relative paths. Hidden files and links to folders are left out."""
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is no folder; a folder with a sub-folder a class is expected")
    for above, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(ENDINGS) and not name.startswith("."):
                yield Path(above, name).relative_to(root)


def examples(root: Path, unlabelled: bool = False) -> list[Example]:
    """The examples of a folder: paths, whose files are not read yet. Of unlabelled ones the sub-folders say nothing."""
    found = list(files(root))
    if unlabelled:
        made = [Example(root / path, None, path.as_posix()) for path in found]
    else:
        inner = [path for path in found if len(path.parts) > 1]
        splits = bool(inner) and all(path.parts[0].lower() in SPLIT_FOLDERS and len(path.parts) > 2 for path in inner)
        made = [_example(root, path, splits) for path in inner]
    if not made:
        raise ValueError(f"{root} holds no class; a sub-folder a class is expected, with the class's pictures in it")
    return made


def dataset_name(root: Path) -> str:
    """The name of a dataset after a folder's: what a name cannot hold becomes `-`."""
    name = root.resolve().name.lower()
    kept = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in name)
    kept = kept.lstrip("-_.")[:63]
    if not kept:
        raise ValueError(f"{root}: its name makes no name of a dataset; tell one")
    return kept


def _example(root: Path, path: Path, splits: bool) -> Example:
    split = SPLIT_FOLDERS[path.parts[0].lower()] if splits else ""
    return Example(root / path, path.parts[1 if splits else 0], path.as_posix(), split)
