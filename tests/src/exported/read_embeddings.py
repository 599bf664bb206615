"""Reads exported embeddings: `read_embeddings.py PARQUET NPY` prints JSON: the columns of the one with their types, its notes, its
rows without embeddings, and whether both hold the same rows."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet


def main(parquet: Path, npy: Path) -> None:
    table = pyarrow.parquet.read_table(parquet)
    numbers = np.load(npy)
    embeddings = np.stack(table["embedding"].to_pylist()).astype(np.float32) if len(table) else numbers
    with npy.with_suffix(".labels.csv").open() as file:
        lines = list(csv.DictReader(file))
    plain = table.drop_columns(["embedding"]).to_pylist()
    # A list in a cell of the table is JSON.
    cell = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")) if isinstance(value, list) else value
    told = [{key: cell(value) for key, value in row.items()} for row in plain]
    notes = {key.decode(): value.decode() for key, value in table.schema.metadata.items() if key.startswith(b"graft.")}
    print(
        json.dumps(
            {
                "columns": {field.name: str(field.type) for field in table.schema},
                "notes": notes,
                "rows": plain,
                "shape": numbers.shape,
                "same": bool(np.array_equal(embeddings, numbers)) and told == lines,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
