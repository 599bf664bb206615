"""Writes metrics.json: scikit-learn's figures for random predictions, which tests/metrics.rs compares with.

Run in this folder with numpy and scikit-learn installed: python metrics.py > metrics.json
"""

import json
import sys
import warnings

import numpy as np
import sklearn
from sklearn import metrics

CASES = [
    # rows, classes, skill, classes that never occur (at the end)
    (50, 2, 1.0, 0),
    (300, 10, 1.5, 0),
    (40, 7, 0.0, 2),
    (200, 3, 8.0, 0),
    (1, 4, 0.0, 3),
]


def case(seed, rows, classes, skill, missing):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes - missing, rows)
    logits = random.normal(size=(rows, classes))
    logits[np.arange(rows), labels] += skill
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    # f32, as a head gives them; JSON keeps every digit.
    probabilities = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    predicted = probabilities.argmax(axis=1)
    every = np.arange(classes)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0
    )
    return {
        "classes": classes,
        "labels": labels.tolist(),
        "probabilities": [float(p) for p in probabilities.ravel()],
        "accuracy": metrics.accuracy_score(labels, predicted),
        "macro_f1": metrics.f1_score(labels, predicted, average="macro", zero_division=0),
        # f64, so that the arithmetic is not rounded; the f32 probabilities themselves are the input.
        "log_loss": metrics.log_loss(labels, probabilities.astype(np.float64), labels=every),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        "confusion": metrics.confusion_matrix(labels, predicted, labels=every).ravel().tolist(),
    }


warnings.simplefilter("ignore")  # Rows sum to 1 as nearly as f32 can; scikit-learn remarks on it.
cases = [case(seed, *arguments) for seed, arguments in enumerate(CASES)]
json.dump({"scikit_learn": sklearn.__version__, "cases": cases}, sys.stdout)
print()
