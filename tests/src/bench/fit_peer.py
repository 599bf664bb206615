"""Fit scikit-learn's LogisticRegression on embeddings, and judge another head by the same objective.

Usage: fit_peer.py FOLDER DIMENSION ROWS L2 HEAD. Prints one line of JSON.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

folder, dimension, rows, l2, head = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
files = sorted(folder.glob("Train-*.f32"))
x = np.concatenate([np.fromfile(file, "<f4").reshape(-1, dimension) for file in files[: rows // 2000]])
y = np.fromfile(folder / "Train-labels.u8", np.uint8)[:rows].astype(np.int64)
assert len(x) == rows == len(y)
# As services/trainer/src/fit/standardise.rs does it.
mean, variance = x.mean(0, dtype=np.float64), x.var(0, dtype=np.float64)
varying = variance > 0
floored = variance + 0.3**2 * variance[varying].mean()
deviation = np.sqrt(floored * (variance / floored)[varying].mean())
scale = varying / deviation
x = ((x - mean) * scale).astype(np.float32)


def objective(weights: np.ndarray, bias: np.ndarray) -> float:
    """Mean log loss plus l2/2 of the squared weights, in f64; weights [dimension, classes] on standardised features."""
    loss = 0.0
    for start in range(0, rows, 4096):
        logits = x[start : start + 4096].astype(np.float64) @ weights + bias
        logits -= logits.max(1, keepdims=True)
        right = logits[np.arange(len(logits)), y[start : start + 4096]]
        loss += float((np.log(np.exp(logits).sum(1)) - right).sum())
    return loss / rows + l2 / 2 * float((weights**2).sum())


model = LogisticRegression(C=1 / (l2 * rows), max_iter=10_000)
begun = time.perf_counter()
model.fit(x, y)
seconds = time.perf_counter() - begun
numbers = np.fromfile(head, "<f4").astype(np.float64)
classes = len(numbers) // (dimension + 1)
weights, bias = numbers[: dimension * classes].reshape(dimension, classes), numbers[dimension * classes :]
# The head takes plain embeddings: back to standardised ones.
ours = objective(weights * deviation[:, None] * varying[:, None], bias + mean @ weights)
theirs = objective(model.coef_.T.astype(np.float64), model.intercept_.astype(np.float64))
print(json.dumps({"seconds": seconds, "objective": theirs, "ours": ours, "iterations": int(model.n_iter_[0])}))
