"""Writes metrics.json: every metric by scikit-learn, of random and of degenerate predictions.

Python 3.11, numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1.

Scores are single-precision, as a network gives them, and written in full; `null` is what scikit-learn has no number for.
Not scikit-learn's: the concordance correlation coefficient (Lin, Biometrics 45, 1989, eq. 1), the mean bias, and the
weighing of `calibration_curve`'s bins to the expected calibration error (Guo et al., ICML 2017, eq. 3).
"""

import json
import math
import pathlib
import warnings

import numpy as np
import scipy
import sklearn
from scipy import stats
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

warnings.simplefilter("ignore")
print("numpy", np.__version__, "scipy", scipy.__version__, "scikit-learn", sklearn.__version__)
rng = np.random.default_rng(7)
BINS = 15


def number(value):
    value = float(value)
    return None if math.isnan(value) else value


def one_against_others(metric, truth, scores):
    """Macro mean over the classes' own binary problems."""
    return np.mean([metric(truth == k, scores[:, k]) for k in range(scores.shape[1])])


def roc_auc(truth, scores):
    classes = scores.shape[1]
    if classes < 3:
        return one_against_others(sk.roc_auc_score, truth, scores)
    return sk.roc_auc_score(truth, scores, multi_class="ovr", average="macro", labels=range(classes))


def average_precision(truth, scores):
    # As classes of `truth` itself, scikit-learn refuses one that is absent; as an indicator it counts it as 0.
    if len(set(truth.tolist())) < scores.shape[1]:
        return float("nan")
    return one_against_others(sk.average_precision_score, truth, scores)


def top_k(truth, scores, k):
    classes = scores.shape[1]
    if classes < 3:
        # Its multi-class form has no two-class case; there are no more than k classes.
        return 1.0
    # A truth of two classes is taken for binary, unless a third is there: one is added and taken away again.
    third = next(c for c in range(classes) if c != truth[0])
    other = next(c for c in range(classes) if c not in (truth[0], third))
    more = np.append(truth, [truth[0], third, other])
    certain = np.eye(classes, dtype=np.float64)[more[-3:]]
    hits = sk.top_k_accuracy_score(more, np.vstack([scores, certain]), k=k, labels=range(classes), normalize=False)
    return (hits - 3) / len(truth)


def calibration(truth, predicted, confidence):
    accuracies, confidences = calibration_curve(truth == predicted, confidence, n_bins=BINS, pos_label=True)
    counts, _ = np.histogram(np.nextafter(confidence, 0), np.linspace(0, 1, BINS + 1))
    full = iter(zip(accuracies, confidences))
    bins = [(int(n), *(next(full) if n else (None, None))) for n in counts]
    error = sum(n * abs(a - c) for n, a, c in bins if n) / len(truth)
    return {"bins": [[n, None if a is None else float(a), None if c is None else float(c)] for n, a, c in bins]}, error


def of_classes(name, truth, scores):
    scores = np.asarray(scores, np.float32).astype(np.float64)
    truth, classes = np.asarray(truth), scores.shape[1]
    labels = list(range(classes))
    predicted = scores.argmax(axis=1)
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=0
    )
    bins, ece = calibration(truth, predicted, scores.max(axis=1))
    metrics = {
        "uar": sk.balanced_accuracy_score(truth, predicted),
        "wa": sk.accuracy_score(truth, predicted),
        "macro_f1": sk.f1_score(truth, predicted, average="macro", zero_division=0),
        "weighted_f1": sk.f1_score(truth, predicted, average="weighted", zero_division=0),
        "micro_f1": sk.f1_score(truth, predicted, average="micro", zero_division=0),
        "log_loss": sk.log_loss(truth, scores, labels=labels) if classes > 1 else 0.0,
        "top_2_accuracy": top_k(truth, scores, 2),
        "top_3_accuracy": top_k(truth, scores, 3),
        "mcc": sk.matthews_corrcoef(truth, predicted),
        "kappa": sk.cohen_kappa_score(truth, predicted),
        "roc_auc": roc_auc(truth, scores),
        "average_precision": average_precision(truth, scores),
        "brier": sk.brier_score_loss(truth, scores, labels=labels, scale_by_half=False) if classes > 1 else 0.0,
        "ece": ece,
    }
    return {
        "name": name,
        "truth": truth.tolist(),
        "scores": scores.tolist(),
        "metrics": {name: number(value) for name, value in metrics.items()},
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
        "support": support.tolist(),
        **bins,
    }


def of_numbers(name, truth, predicted):
    truth, predicted = (np.asarray(side, np.float32).astype(np.float64) for side in (truth, predicted))
    covariance = np.mean((truth - truth.mean()) * (predicted - predicted.mean()))
    spread = truth.var() + predicted.var() + (truth.mean() - predicted.mean()) ** 2
    varies = len(truth) > 1 and truth.std() > 0 and predicted.std() > 0
    metrics = {
        "ccc": 2 * covariance / spread if len(truth) > 1 and spread > 0 else float("nan"),
        "pearson": stats.pearsonr(truth, predicted).statistic if varies else float("nan"),
        "mse": sk.mean_squared_error(truth, predicted),
        "rmse": sk.root_mean_squared_error(truth, predicted),
        "mae": sk.mean_absolute_error(truth, predicted),
        "bias": np.mean(predicted - truth),
    }
    return {
        "name": name,
        "truth": truth.tolist(),
        "predicted": predicted.tolist(),
        "metrics": {name: number(value) for name, value in metrics.items()},
    }


def softmax(scores):
    exp = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def random_case(name, classes, n, sharp, round_to=None):
    truth = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    logits = rng.normal(size=(n, classes)) * sharp
    logits[np.arange(n), truth] += 1.0
    scores = softmax(logits)
    if round_to:
        scores = np.round(scores * round_to) / round_to
        scores[:, 0] += 1 - scores.sum(axis=1)
    return of_classes(name, truth, scores)


even = lambda n, k: np.full((n, k), 1 / k)
classes = [random_case(f"random {k} classes", k, n, s) for k, n, s in [(2, 12, 1), (3, 17, 1), (4, 25, 2), (7, 30, 3)]]
classes += [random_case(f"ties, {k} classes", k, n, 1, 8) for k, n in [(2, 20), (4, 24), (5, 20)]]
skewed = softmax(rng.normal(size=(14, 4)))
classes += [
    of_classes("a class absent from the truth", rng.choice([0, 1, 3], 14), skewed),
    of_classes("one class in the truth", [2] * 6, skewed[:6]),
    of_classes("one class in truth and prediction", [0] * 4, np.tile([0.625, 0.25, 0.125], (4, 1))),
    of_classes("one class predicted", [0, 1, 2, 1, 0], np.tile([0.625, 0.25, 0.125], (5, 1))),
    of_classes("constant scores", [0, 1, 2, 3, 3, 1], even(6, 4)),
    of_classes("constant scores, two classes", [0, 1, 1], even(3, 2)),
    of_classes("certain and right", [0, 1, 2, 0], np.eye(3)[[0, 1, 2, 0]]),
    of_classes("certain and wrong", [0, 1, 2, 0], np.eye(3)[[1, 2, 0, 1]]),
    of_classes("one item", [1], [[0.25, 0.5, 0.25]]),
    of_classes("one class in the label set", [0, 0, 0], np.ones((3, 1))),
]
x = rng.normal(3, 1, 20)
numbers = [
    of_numbers("random", x, x + rng.normal(0, 0.5, 20)),
    of_numbers("unrelated", x, rng.normal(2, 2, 20)),
    of_numbers("against", x, -x),
    of_numbers("shifted", x, x + 2),
    of_numbers("far from 0", x + 1000, x + 1000 + rng.normal(0, 0.5, 20)),
    of_numbers("ties", [1, 1, 2, 2, 3], [1, 2, 2, 2, 1]),
    of_numbers("constant prediction", x, np.full(20, 2.5)),
    of_numbers("constant truth", np.full(5, 2.5), x[:5]),
    of_numbers("both constant, apart", [1, 1, 1], [2, 2, 2]),
    of_numbers("both constant, equal", [1, 1, 1], [1, 1, 1]),
    of_numbers("one item", [1], [2]),
]
path = pathlib.Path(__file__).with_name("metrics.json")
lines = lambda cases: "[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]"
path.write_text(f'{{"classes": {lines(classes)}, "numbers": {lines(numbers)}}}\n')
