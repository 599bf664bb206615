"""Writes metrics.json: the figures of scikit-learn, scipy and cleanlab for random predictions, which tests/api/metrics.rs
compares with.

Run in this folder with numpy, scikit-learn, scipy and cleanlab installed: python metrics.py > metrics.json
"""

import json
import sys
import warnings

import cleanlab
import numpy as np
import sklearn
from cleanlab.count import compute_confident_joint
from cleanlab.rank import get_normalized_margin_for_each_label
from scipy.optimize import brentq
from sklearn import metrics
from sklearn.calibration import calibration_curve
from splitmix64 import SplitMix64

CASES = [
    # rows, classes, skill, classes that never occur (at the end)
    (50, 2, 1.0, 0),
    (300, 10, 1.5, 0),
    (40, 7, 0.0, 2),
    (200, 3, 8.0, 0),
    (1, 4, 0.0, 3),
]
BINS = 15
RESAMPLES = 40


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def draw(random, rows, classes, skill, missing):
    labels = random.integers(0, classes - missing, rows)
    logits = random.normal(size=(rows, classes))
    logits[np.arange(rows), labels] += skill
    return labels, logits.astype(np.float32)


def ranking(labels, probabilities):
    """One class against the rest, where both occur; the means as the report has them."""
    auc, precision = [], []
    for c in range(probabilities.shape[1]):
        is_class = labels == c if labels.ndim == 1 else labels[:, c]
        both = is_class.any() and not is_class.all()
        auc.append(metrics.roc_auc_score(is_class, probabilities[:, c]) if both else None)
        precision.append(metrics.average_precision_score(is_class, probabilities[:, c]) if both else None)
    return auc, precision


def macro(values):
    counted = values[1:] if len(values) == 2 else values
    known = [value for value in counted if value is not None]
    return float(np.mean(known)) if known else None


def temperature(labels, logits):
    z = logits.astype(np.float64)

    def slope(sharpness):
        return ((softmax(z * sharpness) * z).sum(axis=1) - z[np.arange(len(z)), labels]).mean()

    if len(labels) < 30:
        return None
    if slope(0.1) > 0 or slope(10) < 0:
        return 10.0 if slope(0.1) > 0 else 0.1
    return 1 / brentq(slope, 0.1, 10, xtol=1e-15, rtol=1e-14)


def calibration(labels, probabilities):
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    accuracy, mean_confidence = calibration_curve(right, confidence, n_bins=BINS)
    counts = np.bincount(np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence), minlength=BINS)
    counts = counts[counts > 0]
    return float((counts * np.abs(accuracy - mean_confidence)).sum() / counts.sum())


def intervals(labels, probabilities, seed):
    random, rows = SplitMix64(seed), len(labels)
    every = np.arange(probabilities.shape[1])
    columns = {name: [] for name in ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "roc_auc", "average_precision")}
    for _ in range(RESAMPLES):
        at = [random.below(rows) for _ in range(rows)]
        y, p = labels[at], probabilities[at]
        predicted = p.argmax(axis=1)
        columns["accuracy"].append(metrics.accuracy_score(y, predicted))
        columns["balanced_accuracy"].append(metrics.balanced_accuracy_score(y, predicted))
        columns["macro_f1"].append(metrics.f1_score(y, predicted, average="macro", zero_division=0))
        columns["log_loss"].append(metrics.log_loss(y, p.astype(np.float64), labels=every))
        for name, values in zip(("roc_auc", "average_precision"), ranking(y, p)):
            columns[name].append(macro(values))
    quantiles = lambda values: np.quantile([v for v in values if v is not None], [0.025, 0.975]).tolist()
    return {name: quantiles(values) if any(v is not None for v in values) else None for name, values in columns.items()}


def unknown(labels, probabilities):
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    right = predicted == labels
    sure = np.sort(confidence[right])
    if len(sure) < 20:
        return None
    threshold = sure[int(np.floor(len(sure) * (1 - 0.95)))]
    kept = confidence >= threshold
    return {
        "threshold": float(threshold),
        "coverage": float(kept.mean()),
        "accuracy": float(right[kept].mean()),
        "wrong_rejected": float((~kept)[~right].mean()) if (~right).any() else 0.0,
        "right_rejected": float((~kept)[right].mean()),
    }


def label_errors(labels, probabilities):
    """cleanlab's own: off the diagonal of the confident joint, less what the head itself would give."""
    if len(np.unique(labels)) < probabilities.shape[1]:
        return None
    p = probabilities.astype(np.float64)
    _, suspects = compute_confident_joint(labels, p, calibrate=False, return_indices_of_off_diagonals=True)
    suspects = [row for row in suspects if p[row].argmax() != labels[row]]
    margin = get_normalized_margin_for_each_label(labels, p)
    return sorted((int(row) for row in suspects), key=lambda row: (margin[row], row))


def case(seed, rows, classes, skill, missing):
    random = np.random.default_rng(seed)
    labels, logits = draw(random, rows, classes, skill, missing)
    # f32, as a head gives them; JSON keeps every digit.
    probabilities = softmax(logits).astype(np.float32)
    predicted = probabilities.argmax(axis=1)
    every = np.arange(classes)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0
    )
    auc, average_precision = ranking(labels, probabilities)
    return {
        "classes": classes,
        "labels": labels.tolist(),
        "logits": [float(z) for z in logits.ravel()],
        "probabilities": [float(p) for p in probabilities.ravel()],
        "accuracy": metrics.accuracy_score(labels, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
        "macro_precision": metrics.precision_score(labels, predicted, average="macro", zero_division=0),
        "macro_recall": metrics.recall_score(labels, predicted, average="macro", zero_division=0),
        "macro_f1": metrics.f1_score(labels, predicted, average="macro", zero_division=0),
        # f64, so that the arithmetic is not rounded; the f32 probabilities themselves are the input.
        "log_loss": metrics.log_loss(labels, probabilities.astype(np.float64), labels=every),
        "top_2": metrics.top_k_accuracy_score(labels, probabilities, k=2, labels=every)
        if classes > 2
        else 1.0,
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        "confusion": metrics.confusion_matrix(labels, predicted, labels=every).ravel().tolist(),
        "roc_auc": auc,
        "average_precision": average_precision,
        "macro_roc_auc": macro(auc),
        "macro_average_precision": macro(average_precision),
        "temperature": temperature(labels, logits),
        "calibration_error": calibration(labels, probabilities),
        "unknown": unknown(labels, probabilities),
        "seed": seed + 1,
        "resamples": RESAMPLES,
        "intervals": intervals(labels, probabilities, seed + 1),
        "label_errors": label_errors(labels, probabilities),
    }


def multi_label(seed, rows, classes):
    random = np.random.default_rng(seed)
    truth = random.random((rows, classes)) < np.linspace(0.05, 0.9, classes)
    # Rounded, so that there are many equal scores.
    scores = (np.round(random.normal(size=(rows, classes)) + truth, 1) / 10).astype(np.float32)
    auc, precision = ranking(truth, scores)
    flat = lambda array, kind: [kind(value) for value in array.ravel()]
    return {"classes": classes, "truth": flat(truth, int), "scores": flat(scores, float), "roc_auc": auc, "average_precision": precision}


warnings.simplefilter("ignore")  # Rows sum to 1 as nearly as f32 can; scikit-learn remarks on it.
cases = [case(seed, *arguments) for seed, arguments in enumerate(CASES)]
versions = {"scikit_learn": sklearn.__version__, "cleanlab": cleanlab.__version__}
json.dump({**versions, "cases": cases, "multi_label": multi_label(9, 80, 5)}, sys.stdout)
print()
