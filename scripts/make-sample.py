#!/usr/bin/env python3
"""Make the sample of Fashion-MNIST that the repository ships, from Debian's package dataset-fashion-mnist.

Usage: apt-get install dataset-fashion-mnist && python3 scripts/make-sample.py
The first 2,000 rows of the training set and the first 1,000 of the test set, as `label,pixel1..pixel784`. The result is the
same to the byte each time.
"""

import gzip
import struct
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent / "data" / "fashion-mnist"


def source(name: str) -> bytes:
    files = subprocess.run(["dpkg", "-L", "dataset-fashion-mnist"], capture_output=True, text=True, check=True)
    path = next(line for line in files.stdout.splitlines() if Path(line).name.startswith(name))
    return gzip.decompress(Path(path).read_bytes())


def write(images: str, labels: str, count: int, target: Path) -> None:
    pixels, classes = source(images), source(labels)
    _, total, rows, columns = struct.unpack(">4I", pixels[:16])
    assert total >= count and rows == columns == 28
    lines = ["label," + ",".join(f"pixel{i}" for i in range(1, 785))]
    for index in range(count):
        row = pixels[16 + index * 784 : 16 + (index + 1) * 784]
        lines.append(f"{classes[8 + index]}," + ",".join(map(str, row)))
    with target.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=9, mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())


write("train-images", "train-labels", 2000, HERE / "train-2000.csv.gz")
write("t10k-images", "t10k-labels", 1000, HERE / "test-1000.csv.gz")
