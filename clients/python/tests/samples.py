"""Pictures that tests use: rows of Fashion-MNIST, and photos."""

import csv
import gzip
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = ROOT / "tests/data/reference"
IMAGES = REFERENCE / "images"
TRAIN = ROOT / "data/fashion-mnist/train-2000.csv.gz"
TEST = ROOT / "data/fashion-mnist/test-1000.csv.gz"
IMAGENET = "efficientnet-lite0-imagenet"
# Far apart, so that few rows do.
NAMES = {"1": "trousers", "8": "bag", "9": "boot"}


def rows(path: Path, limit: int) -> list[tuple[np.ndarray, str]]:
    """Pictures [28, 28] and their labels."""
    opened = gzip.open(path, "rt") if path.suffix == ".gz" else path.open()
    with opened as file:
        found = [line for line, _ in zip(csv.reader(file), range(limit + 1), strict=False)][1:]
    return [(np.array(pixels, dtype=np.uint8).reshape(28, 28), label) for label, *pixels in found]


def garments(path: Path, limit: int) -> list[tuple[np.ndarray, str]]:
    """Those of the rows that are trousers, bags or boots, with these labels."""
    return [(picture, NAMES[label]) for picture, label in rows(path, limit) if label in NAMES]


def folder(root: Path, examples: list[tuple[np.ndarray, str]]) -> Path:
    """A folder of PNG files with a sub-folder a class."""
    for index, (picture, label) in enumerate(examples):
        (root / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(root / label / f"{index:04}.png")
    return root
