"""Writes agreement.json: labels of two annotators and their agreement by scikit-learn.

Python 3.11, numpy 2.4.6, scikit-learn 1.9.1.
"""

import json
import math
import pathlib
import warnings

import numpy as np
import sklearn
from sklearn.metrics import cohen_kappa_score

warnings.simplefilter("ignore")
print("numpy", np.__version__, "scikit-learn", sklearn.__version__)
random = np.random.default_rng(4)
pairs = [([0, 0, 0], [0, 0, 0]), ([0, 1, 2], [0, 1, 2]), ([0, 1], [1, 0]), ([0, 0, 1, 1], [0, 1, 0, 1]), ([0, 0], [1, 1])]
for size, classes, noise in [(10, 2, 0.3), (40, 4, 0.2), (60, 5, 0.6), (50, 3, 1.0)]:
    first = random.integers(0, classes, size)
    second = np.where(random.random(size) < noise, random.integers(0, classes, size), first)
    pairs.append((first.tolist(), second.tolist()))
cases = []
for first, second in pairs:
    kappa = float(cohen_kappa_score(first, second))
    cases.append({"first": first, "second": second, "kappa": None if math.isnan(kappa) else kappa})
path = pathlib.Path(__file__).with_name("agreement.json")
path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
