"""Test accuracy of scikit-learn's LogisticRegressionCV on few rows, for each of many draws.

Usage: few_shot_peer.py FOLDER DIMENSION ROWS DRAWS. Prints one line of JSON.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

folder, dimension, rows, draws = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]


def read(part: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    files = sorted(folder.glob(f"{part}-*.f32"))[: count // 2000]
    x = np.concatenate([np.fromfile(file, "<f4").reshape(-1, dimension) for file in files])
    return x, np.fromfile(folder / f"{part}-labels.u8", np.uint8)[:count].astype(np.int64)


(x, y), (x_test, y_test) = read("Train", 12_000), read("Test", 10_000)
warnings.filterwarnings("ignore")
accuracies = []
for chosen in np.fromfile(draws, "<u4").reshape(-1, rows):
    # Its defaults, but for iterations enough to converge: 10 values of C, 5 folds, stratified, chosen by accuracy.
    model = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=10, cv=5, max_iter=1000))
    model.fit(x[chosen], y[chosen])
    accuracies.append(float((model.predict(x_test) == y_test).mean()))
print(json.dumps({"accuracies": accuracies}))
