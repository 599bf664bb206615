"""What views give with few images: 10 rows of Fashion-MNIST a class, fitted plain and with 8 views of each.

Usage: views.py [DRAWS] [A_CLASS] [VIEWS] [KINDS], such as `views.py 5 10 8 flip,crop`, with the Python of `.venv` and
clients/python/generate.sh run, while both services run on their usual ports. Prints the accuracies on 1,000 test rows.
"""

import csv
import gzip
import random
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "clients/python/src"))

from graft_client import Graft, Views  # noqa: E402


def rows(name):
    with gzip.open(ROOT / "data/fashion-mnist" / name, "rt") as file:
        lines = list(csv.reader(file))[1:]
    return [(np.array(pixels, dtype=np.uint8).reshape(28, 28), label) for label, *pixels in lines]


def main(draws=5, a_class=10, views=8, kinds="flip,crop"):
    train, test = rows("train-2000.csv.gz"), rows("test-1000.csv.gz")
    found = {0: [], views: []}
    with Graft(*sys.argv[5:7]) as graft:
        for draw in range(draws):
            chosen = []
            for label in sorted({label for _, label in train}):
                members = [row for row in train if row[1] == label]
                chosen += random.Random(f"{draw} {label}").sample(members, a_class)
            for of, accuracies in found.items():
                name = f"few-{draw}-{a_class}-{of}-{kinds.replace(',', '-')}"
                wanted = Views(of, kinds.split(",")) if of else None
                graft.import_examples(name, chosen, split="train", views=wanted)
                graft.import_examples(name, test, split="test")
                accuracies.append(graft.train(name).report.accuracy)
            print(draw, {of: round(accuracies[-1], 4) for of, accuracies in found.items()}, flush=True)
    print({of: round(float(np.mean(accuracies)), 4) for of, accuracies in found.items()})


main(*(int(argument) for argument in sys.argv[1:4]), *sys.argv[4:5])
