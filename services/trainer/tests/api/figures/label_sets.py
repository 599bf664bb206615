"""Writes label_sets.json: the figures of scikit-learn, scipy and cleanlab for random predictions of sets of labels, which
tests/api/label_sets.rs compares with.

Run in this folder with numpy, scikit-learn, scipy and cleanlab installed: python label_sets.py > label_sets.json
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
    # rows, labels, skill
    (60, 3, 1.0),
    (200, 6, 2.0),
    (40, 5, 0.0),
    (120, 2, 8.0),
    (50, 1, 1.0),
    (1, 4, 0.0),
]
BINS = 15
RESAMPLES = 40


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def draw(random, rows, classes, skill):
    """Labels from rare to frequent. Where there are many rows, the first is on none and the last on all."""
    truth = random.random((rows, classes)) < np.linspace(0.1, 0.8, classes)
    if classes == 6:
        truth[:, 0], truth[:, -1] = False, True
    logits = random.normal(size=(rows, classes)) + skill * (truth - 0.5)
    return truth, np.round(logits, 1).astype(np.float32), random.uniform(0.3, 0.7, classes).astype(np.float32)


def ranking(truth, probabilities):
    """Of each label that some rows have and others do not."""
    auc, precision = [], []
    for c in range(truth.shape[1]):
        both = truth[:, c].any() and not truth[:, c].all()
        auc.append(float(metrics.roc_auc_score(truth[:, c], probabilities[:, c])) if both else None)
        precision.append(float(metrics.average_precision_score(truth[:, c], probabilities[:, c])) if both else None)
    return auc, precision


def mean_of_known(values):
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def log_loss(truth, probabilities):
    columns = zip(truth.T, probabilities.T.astype(np.float64), strict=True)
    return float(np.mean([metrics.log_loss(y, p, labels=[False, True]) for y, p in columns]))


def figures(truth, given, probabilities):
    """Those that the report gives intervals of."""
    auc, precision = ranking(truth, probabilities)
    return {
        "exact": float(metrics.accuracy_score(truth, given)),
        "macro_f1": float(np.mean(metrics.f1_score(truth, given, average=None, zero_division=0))),
        "micro_f1": pooled(metrics.f1_score, truth, given),
        "hamming_loss": float(metrics.hamming_loss(truth, given)),
        "log_loss": log_loss(truth, probabilities),
        "roc_auc": mean_of_known(auc),
        "average_precision": mean_of_known(precision),
    }


def pooled(score, truth, given):
    """The micro average: all answers as one label's."""
    return float(score(truth.ravel(), given.ravel(), zero_division=0))


def temperature(truth, logits):
    z = logits.astype(np.float64)
    slope = lambda sharpness: ((sigmoid(z * sharpness) - truth) * z).mean()
    if len(truth) < 30:
        return None
    if slope(0.1) > 0 or slope(10) < 0:
        return 10.0 if slope(0.1) > 0 else 0.1
    return 1 / brentq(slope, 0.1, 10, xtol=1e-15, rtol=1e-14)


def calibration_error(truth, probabilities):
    y, p = truth.ravel(), probabilities.ravel().astype(np.float64)
    part, mean_probability = calibration_curve(y, p, n_bins=BINS)
    counts = np.bincount(np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], p), minlength=BINS)
    counts = counts[counts > 0]
    return float((counts * np.abs(part - mean_probability)).sum() / counts.sum())


def intervals(truth, given, probabilities, seed):
    random, rows, columns = SplitMix64(seed), len(truth), {}
    for _ in range(RESAMPLES):
        at = [random.below(rows) for _ in range(rows)]
        for name, value in figures(truth[at], given[at], probabilities[at]).items():
            columns.setdefault(name, []).append(value)
    quantiles = lambda values: np.quantile([v for v in values if v is not None], [0.025, 0.975]).tolist()
    return {name: quantiles(values) if any(v is not None for v in values) else None for name, values in columns.items()}


def label_errors(truth, probabilities):
    """cleanlab's own for each label, yes and no being two classes: [row, label], the likeliest first."""
    found = []
    for label in range(truth.shape[1]):
        y = truth[:, label].astype(int)
        if len(np.unique(y)) < 2:
            continue
        yes = probabilities[:, label]
        p = np.stack([np.float32(1) - yes, yes], axis=1).astype(np.float64)
        _, suspects = compute_confident_joint(y, p, calibrate=False, return_indices_of_off_diagonals=True)
        # f32, as margins of a head's probabilities are: what differs by less is equal, and goes by its row.
        margin = (2 * get_normalized_margin_for_each_label(y, p) - 1).astype(np.float32)
        found += [(float(margin[row]), int(row), label) for row in suspects if p[row].argmax() != y[row]]
    return [[row, label] for _, row, label in sorted(found)]


def case(seed, rows, classes, skill):
    random = np.random.default_rng(seed)
    truth, logits, thresholds = draw(random, rows, classes, skill)
    probabilities = sigmoid(logits.astype(np.float64)).astype(np.float32)
    given = probabilities >= thresholds
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(truth, given, average=None, zero_division=0)
    if classes == 1:
        # Of one column, scikit-learn takes yes and no for two classes.
        precision, recall, f1 = precision[1:], recall[1:], f1[1:]
    tables = [metrics.confusion_matrix(truth[:, c], given[:, c], labels=[False, True]) for c in range(classes)]
    auc, average_precision = ranking(truth, probabilities)
    flat = lambda array, kind: [kind(value) for value in array.ravel()]
    whole = figures(truth, given, probabilities)
    if classes == 1:
        whole["macro_f1"] = float(f1.mean())
    sets, times = np.unique(truth, axis=0, return_counts=True)
    return {
        "classes": classes,
        "truth": flat(truth, int),
        "logits": flat(logits, float),
        "probabilities": flat(probabilities, float),
        "thresholds": flat(thresholds, float),
        **whole,
        "micro_precision": pooled(metrics.precision_score, truth, given),
        "micro_recall": pooled(metrics.recall_score, truth, given),
        "macro_precision": float(precision.mean()),
        "macro_recall": float(recall.mean()),
        "cardinality": float(truth.sum(axis=1).mean()),
        "majority": float(times.max() / times.sum()),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "tables": [flat(table, int) for table in tables],
        "label_roc_auc": auc,
        "label_average_precision": average_precision,
        "temperature": temperature(truth, logits),
        "calibration_error": calibration_error(truth, probabilities),
        "seed": seed + 1,
        "resamples": RESAMPLES,
        "intervals": intervals(truth, given, probabilities, seed + 1) if classes > 1 else None,
        "label_errors": label_errors(truth, probabilities),
    }


warnings.simplefilter("ignore")
cases = [case(seed, *arguments) for seed, arguments in enumerate(CASES)]
versions = {"scikit_learn": sklearn.__version__, "cleanlab": cleanlab.__version__}
json.dump({**versions, "cases": cases}, sys.stdout)
print()
