"""Writes classification.json, statistics.json and log_loss.json, the answers that the unit tests compare with.

Made with scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6, Python 3.11.
"""

import json
import warnings
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
)

here = Path(__file__).parent
rng = np.random.default_rng(0)
warnings.simplefilter("ignore")


def case(name, classes, truth, predicted):
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=range(classes), zero_division=0
    )
    return {
        "name": name,
        "labels": [f"c{i}" for i in range(classes)],
        "truth": truth.tolist(),
        "predicted": predicted.tolist(),
        "uar": balanced_accuracy_score(truth, predicted),
        "wa": accuracy_score(truth, predicted),
        "macro_f1": f1_score(truth, predicted, average="macro", zero_division=0),
        "weighted_f1": f1_score(truth, predicted, average="weighted", zero_division=0),
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.astype(int).tolist(),
        "confusion": confusion_matrix(truth, predicted, labels=range(classes)).tolist(),
    }


cases = [
    case("one item, right", 2, [1], [1]),
    case("one item, wrong", 2, [0], [1]),
    case("one class in the truth", 3, [2, 2, 2, 2], [2, 2, 2, 2]),
    case("one class in the label set", 1, [0, 0], [0, 0]),
    case("all wrong", 3, [0, 1, 2], [1, 2, 0]),
    case("a class never predicted", 3, [0, 1, 2, 2, 0], [0, 1, 1, 0, 0]),
    case("a class predicted but never in the truth", 4, [0, 0, 1, 1], [0, 3, 1, 3]),
    case("classes in neither", 6, [1, 4, 4, 1], [1, 4, 1, 1]),
    case("only the majority predicted", 4, [0] * 9 + [1, 2, 3], [0] * 12),
]
for i in range(30):
    classes = int(rng.integers(2, 9))
    n = int(rng.integers(1, 60))
    skew = rng.dirichlet(np.full(classes, 0.5))
    truth = rng.choice(classes, n, p=skew)
    noise = rng.integers(0, classes, n)
    predicted = np.where(rng.random(n) < 0.6, truth, noise)
    cases.append(case(f"random {i}", classes, truth, predicted))
(here / "classification.json").write_text(json.dumps({"cases": cases}) + "\n")

paired = []
for n in (2, 3, 5, 18, 250):
    first, second = rng.normal(0.6, 0.05, n), rng.normal(0.58, 0.05, n)
    interval = stats.ttest_rel(first, second).confidence_interval(0.95)
    paired.append(
        {"first": first.tolist(), "second": second.tolist(), "low": interval.low, "high": interval.high}
    )
freedoms = [1, 2, 3, 4, 5, 7, 10, 17, 30, 31, 99, 100, 200, 201, 1000, 10**6]
t_975 = [[v, stats.t.ppf(0.975, v)] for v in freedoms]
# Nadeau & Bengio 2003, from their formula with scipy's distribution.
resampled = []
rng = np.random.default_rng(1)
for n, test_to_train in ((3, 0.5), (5, 0.25), (10, 1 / 9), (2, 1.0)):
    first, second = rng.normal(0.6, 0.05, n), rng.normal(0.58, 0.05, n)
    difference = first - second
    scale = np.sqrt((1 / n + test_to_train) * difference.var(ddof=1))
    low, high = stats.t.interval(0.95, n - 1, loc=difference.mean(), scale=scale)
    resampled.append(
        {
            "first": first.tolist(),
            "second": second.tolist(),
            "test_to_train": test_to_train,
            "low": low,
            "high": high,
        }
    )
(here / "statistics.json").write_text(
    json.dumps({"t_975": t_975, "paired": paired, "resampled": resampled}) + "\n"
)

# Also probabilities of exactly 0 and 1, which are clipped.
losses = []
for classes, n, sharpness in ((2, 7, 1.0), (4, 30, 1.0), (4, 30, 0.05), (7, 50, 0.3), (3, 1, 1.0), (3, 9, 2.0)):
    probabilities = rng.dirichlet(np.full(classes, sharpness), n)
    probabilities[0] = np.eye(classes)[0]
    truth = rng.integers(0, classes, n)
    losses.append(
        {
            "truth": truth.tolist(),
            "probabilities": probabilities.tolist(),
            "log_loss": log_loss(truth, probabilities, labels=range(classes)),
        }
    )
losses.append(
    {
        "truth": [1, 0],
        "probabilities": [[1.0, 0.0], [1.0, 0.0]],
        "log_loss": log_loss([1, 0], [[1.0, 0.0], [1.0, 0.0]], labels=range(2)),
    }
)
(here / "log_loss.json").write_text(json.dumps({"cases": losses}) + "\n")
