"""Fits scikit-learn's logistic regression on exported embeddings: `fit_sklearn.py NPY OUT KIND`, where KIND is `plain`,
`standardised` or `two` (the first two labels alone). Writes OUT for `graft import-head`, and prints JSON: the labels, and for
some embeddings of the test split the numbers and the probability of each label."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

ASKED = 20


def main(path: Path, out: Path, kind: str) -> None:
    embeddings = np.load(path)
    with path.with_suffix(".labels.csv").open() as file:
        table = list(csv.DictReader(file))
    labels = np.array([row["label"] for row in table])
    splits = np.array([row["split"] for row in table])
    assert len(embeddings) == len(table), (embeddings.shape, len(table))
    if kind == "two":
        wanted = np.isin(labels, sorted(set(labels))[:2])
        embeddings, labels, splits = embeddings[wanted], labels[wanted], splits[wanted]
    scaler = StandardScaler().fit(embeddings[splits == "train"])
    arrays = {"mean_": scaler.mean_, "scale_": scaler.scale_} if kind == "standardised" else {}
    features = scaler.transform(embeddings) if arrays else embeddings
    model = LogisticRegression(max_iter=300).fit(features[splits == "train"], labels[splits == "train"])
    np.savez(out, coef_=model.coef_, intercept_=model.intercept_, classes_=model.classes_.astype(str), **arrays)
    test = np.flatnonzero(splits == "test")[:ASKED]
    chances = model.predict_proba(features[test])
    print(
        json.dumps(
            {
                "labels": list(map(str, model.classes_)),
                "embeddings": [list(map(float, row)) for row in embeddings[test]],
                "probabilities": [list(map(float, row)) for row in chances],
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
