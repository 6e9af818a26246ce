"""Writes evaluation.json: curves, temperatures, conformal sets, baselines, votes and bias by target of others' programs.

Python 3.11, numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1, MAPIE 1.6.0.

Scores are single-precision, as a network gives them, and written in full; `null` is where there is nothing to compare with.
Curves are scikit-learn's, temperatures the minimum that scipy finds of scikit-learn's log loss, sets MAPIE's, baselines
scikit-learn's `DummyClassifier`, divergences and bins scipy's. Macro curves are means of numpy's interpolation of scikit-learn's
curves; the area under the risk-coverage curve is its definition (Geifman et al., ICLR 2019, eq. 1), an item at a time.
"""

import json
import math
import pathlib
import warnings

import mapie
import numpy as np
import scipy
import sklearn
from mapie.classification import SplitConformalClassifier
from scipy import optimize, stats
from scipy.spatial.distance import jensenshannon
from sklearn import metrics as sk
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier

warnings.simplefilter("ignore")
print("numpy", np.__version__, "scipy", scipy.__version__, "scikit-learn", sklearn.__version__, "mapie", mapie.__version__)
rng = np.random.default_rng(11)


def numbers(values):
    return [None if not math.isfinite(v) else float(v) for v in values]


def roc(truth, scores, k):
    if not 0 < (truth == k).sum() < len(truth):
        return None
    fpr, tpr, thresholds = sk.roc_curve(truth == k, scores[:, k], drop_intermediate=True)
    return {"x": numbers(fpr), "y": numbers(tpr), "threshold": numbers(thresholds), "area": sk.roc_auc_score(truth == k, scores[:, k])}


def precision_recall(truth, scores, k):
    if not (truth == k).any():
        return None
    precision, recall, thresholds = sk.precision_recall_curve(truth == k, scores[:, k])
    return {
        "x": numbers(recall[::-1]),
        "y": numbers(precision[::-1]),
        "threshold": [None, *numbers(thresholds[::-1])],
        "area": sk.average_precision_score(truth == k, scores[:, k]),
    }


def macro_roc(truth, scores):
    classes = range(scores.shape[1])
    curves = [sk.roc_curve(truth == k, scores[:, k])[:2] for k in classes]
    grid = np.unique(np.concatenate([fpr for fpr, _ in curves]))
    before, after = np.zeros(len(grid)), np.zeros(len(grid))
    for fpr, tpr in curves:
        x, first = np.unique(fpr, return_index=True)
        last = len(fpr) - 1 - np.unique(fpr[::-1], return_index=True)[1]
        # Between two rates a line leads from the end of the first to the beginning of the second.
        right, left = tpr[last], tpr[first]
        for at, value in enumerate(grid):
            place = np.searchsorted(x, value)
            if x[place] == value:
                before[at] += left[place]
                after[at] += right[place]
            else:
                line = np.interp(value, [x[place - 1], x[place]], [right[place - 1], left[place]])
                before[at] += line
                after[at] += line
    n = len(curves)
    area = np.mean([sk.roc_auc_score(truth == k, scores[:, k]) for k in classes])
    return {"grid": numbers(grid), "before": numbers(before / n), "after": numbers(after / n), "area": area}


def macro_precision_recall(truth, scores):
    classes = range(scores.shape[1])
    curves = [sk.precision_recall_curve(truth == k, scores[:, k])[:2] for k in classes]
    grid = np.unique(np.concatenate([recall for _, recall in curves]))
    # The last of scikit-learn's points, whose thresholds rise, that still has a recall.
    means = [np.mean([precision[np.flatnonzero(recall >= r)[-1]] for precision, recall in curves]) for r in grid]
    area = np.mean([sk.average_precision_score(truth == k, scores[:, k]) for k in classes])
    return {"x": numbers(grid), "y": numbers(means), "area": area}


def risk_coverage(truth, scores):
    confidence, wrong = scores.max(axis=1), scores.argmax(axis=1) != truth
    thresholds = np.unique(confidence)[::-1]
    kept = [confidence >= t for t in thresholds]
    return {
        "x": [float(k.mean()) for k in kept],
        "y": [float(wrong[k].mean()) for k in kept],
        "threshold": numbers(thresholds),
        "area": float(np.mean([wrong[confidence >= c].mean() for c in confidence])),
    }


def temperature(truth, scores):
    logits = np.log(np.maximum(scores, np.finfo(np.float32).tiny))
    labels = list(range(scores.shape[1]))

    def loss(log_t):
        log_p = logits / np.exp(log_t)
        log_p = log_p - scipy.special.logsumexp(log_p, axis=1, keepdims=True)
        return -np.mean(log_p[np.arange(len(truth)), truth])

    def slope(log_t):
        p = scipy.special.softmax(logits / np.exp(log_t), axis=1)
        return np.mean((p * logits).sum(axis=1) - logits[np.arange(len(truth)), truth])

    if slope(np.log(0.01)) * slope(np.log(100)) >= 0:
        return None
    found = optimize.minimize_scalar(loss, bounds=(np.log(0.01), np.log(100)), method="bounded", options={"xatol": 1e-6})
    exact = optimize.brentq(slope, np.log(0.01), np.log(100), xtol=1e-14)
    assert abs(found.x - exact) < 1e-4, (found.x, exact)
    scaled = scipy.special.softmax(logits / np.exp(exact), axis=1)
    return {"value": float(np.exp(exact)), "before": sk.log_loss(truth, scores, labels=labels), "after": sk.log_loss(truth, scaled, labels=labels)}


class Given(ClassifierMixin, BaseEstimator):
    """Its features are its probabilities."""

    def __init__(self, classes=2):
        self.classes = classes

    def fit(self, x, y):
        self.classes_ = np.arange(self.classes)
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, x):
        return x

    def predict(self, x):
        return x.argmax(axis=1)


def conformal(truth, scores, test_truth, test_scores, level):
    classes = scores.shape[1]
    model = Given(classes).fit(None, None)
    sets = SplitConformalClassifier(model, confidence_level=level, conformity_score="lac", prefit=True)
    # MAPIE wants probabilities that add up to 1 more exactly than single precision does.
    even = lambda p: p / p.sum(axis=1, keepdims=True)
    _, held = sets.conformalize(even(scores), truth).predict_set(even(test_scores))
    held = held[:, :, 0]
    sizes = held.sum(axis=1)
    return {
        "level": level,
        "held": held.astype(int).tolist(),
        "coverage": float(held[np.arange(len(test_truth)), test_truth].mean()),
        "mean_size": float(sizes.mean()),
        "single": float((sizes == 1).mean()),
        "empty": float((sizes == 0).mean()),
    }


def baselines(truth, training):
    labels = np.repeat(np.arange(len(training)), training)
    found = {}
    for name, strategy in [("majority", "most_frequent"), ("prior", "prior")]:
        model = DummyClassifier(strategy=strategy).fit(np.zeros((len(labels), 1)), labels)
        p = np.zeros((len(truth), len(training)))
        p[:, model.classes_] = model.predict_proba(np.zeros((len(truth), 1)))
        p = p.astype(np.float32).astype(np.float64)
        predicted = model.predict(np.zeros((len(truth), 1)))
        found[name] = {
            "uar": sk.balanced_accuracy_score(truth, predicted),
            "wa": sk.accuracy_score(truth, predicted),
            "macro_f1": sk.f1_score(truth, predicted, average="macro", zero_division=0),
            "log_loss": sk.log_loss(truth, p, labels=list(range(len(training)))),
        }
    return {"training": training, "metrics": found}


def softmax(scores):
    exp = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def case(name, truth, scores, training):
    scores = np.asarray(scores, np.float32).astype(np.float64)
    truth, classes = np.asarray(truth), scores.shape[1]
    whole = all(0 < (truth == k).sum() < len(truth) for k in range(classes))
    return {
        "name": name,
        "truth": truth.tolist(),
        "scores": scores.tolist(),
        "roc": [roc(truth, scores, k) for k in range(classes)],
        "precision_recall": [precision_recall(truth, scores, k) for k in range(classes)],
        "macro_roc": macro_roc(truth, scores) if whole else None,
        "macro_precision_recall": macro_precision_recall(truth, scores) if whole else None,
        "risk_coverage": risk_coverage(truth, scores),
        "temperature": temperature(truth, scores),
        "baselines": baselines(truth, training),
    }


def random_case(name, classes, n, sharp, round_to=None):
    truth = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    logits = rng.normal(size=(n, classes)) * sharp
    logits[np.arange(n), truth] += 1.5
    scores = softmax(logits)
    if round_to:
        scores = np.round(scores * round_to) / round_to
        scores[np.arange(n), scores.argmax(axis=1)] += 1 - scores.sum(axis=1)
    return case(name, truth, scores, rng.integers(0, 9, classes).tolist())


skewed = softmax(rng.normal(size=(14, 4)))
classes = [random_case(f"random, {k} classes", k, n, s) for k, n, s in [(2, 16, 1), (3, 24, 0.5), (4, 30, 3), (6, 30, 2)]]
classes += [random_case(f"ties, {k} classes", k, n, 1, 8) for k, n in [(2, 20), (4, 24)]]
classes += [
    case("a class absent from the truth", rng.choice([0, 1, 3], 14), skewed, [3, 0, 2, 9]),
    case("one class in the truth", [2] * 6, skewed[:6], [1, 1, 1, 1]),
    case("constant scores", [0, 1, 2, 3, 3, 1], np.full((6, 4), 0.25), [4, 4, 4, 4]),
    case("certain and right", [0, 1, 2, 0], np.eye(3)[[0, 1, 2, 0]], [0, 0, 5]),
    case("certain and wrong", [0, 1, 2, 0], np.eye(3)[[1, 2, 0, 1]], [5, 0, 1]),
    case("one item", [1], [[0.25, 0.5, 0.25]], [1, 2, 3]),
]


def conformal_case(name, n, m, k, level, round_to=None):
    def side(n):
        truth = rng.integers(0, k, n)
        logits = rng.normal(size=(n, k))
        logits[np.arange(n), truth] += 1.5
        scores = softmax(logits)
        if round_to:
            scores = np.round(scores * round_to) / round_to
            scores[np.arange(n), scores.argmax(axis=1)] += 1 - scores.sum(axis=1)
        return truth, scores.astype(np.float32).astype(np.float64)

    (truth, scores), (test_truth, test_scores) = side(n), side(m)
    return {
        "name": name,
        "truth": truth.tolist(),
        "scores": scores.tolist(),
        "test_truth": test_truth.tolist(),
        "test_scores": test_scores.tolist(),
        **conformal(truth, scores, test_truth, test_scores, level),
    }


sets = [
    conformal_case("90 %", 39, 20, 4, 0.9),
    conformal_case("80 % of ten", 9, 12, 3, 0.8),
    conformal_case("half", 30, 12, 5, 0.5),
    conformal_case("90 %, ties", 49, 16, 3, 0.9, 16),
]


def votes(name, given, predicted):
    given, predicted = (np.asarray(x, np.float32).astype(np.float64) for x in (given, predicted))
    kl = float(stats.entropy(given, predicted))
    return {
        "name": name,
        "votes": given.tolist(),
        "predicted": predicted.tolist(),
        "kl": kl if math.isfinite(kl) else None,
        "jsd": float(jensenshannon(given, predicted, base=2) ** 2),
        "entropy_bits": float(stats.entropy(given, base=2)),
    }


soft = [votes("random", rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5))) for _ in range(6)]
soft += [
    votes("all for one", [0, 1, 0], [0.25, 0.5, 0.25]),
    votes("the same", [0.5, 0.25, 0.25], [0.5, 0.25, 0.25]),
    votes("apart", [1, 0], [0, 1]),
    votes("counts", [3, 1, 1], [0.25, 0.5, 0.25]),
]


def by_target(name, truth, predicted, bins):
    truth, predicted = (np.asarray(x, np.float32).astype(np.float64) for x in (truth, predicted))
    bias, edges, _ = stats.binned_statistic(truth, predicted - truth, "mean", bins)
    mae, _, _ = stats.binned_statistic(truth, np.abs(predicted - truth), "mean", bins)
    counts, _, _ = stats.binned_statistic(truth, truth, "count", bins)
    return {
        "name": name,
        "truth": truth.tolist(),
        "predicted": predicted.tolist(),
        "bins": bins,
        "edges": edges.tolist(),
        "items": counts.astype(int).tolist(),
        "bias": numbers(bias),
        "mae": numbers(mae),
    }


x = rng.normal(3, 1, 24)
targets = [
    by_target("random", x, x + rng.normal(0, 0.5, 24), 5),
    by_target("whole numbers, an empty bin", [1, 1, 2, 5, 5, 4], [2, 1, 2, 4, 3, 4], 5),
    by_target("two values", [1, 2, 1], [2, 2, 2], 4),
]
path = pathlib.Path(__file__).with_name("evaluation.json")
lines = lambda cases: "[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]"
parts = {"classes": classes, "conformal": sets, "votes": soft, "by_target": targets}
path.write_text("{" + ",\n".join(f'"{name}": {lines(cases)}' for name, cases in parts.items()) + "}\n")
