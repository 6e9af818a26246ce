"""Writes paired.json: what statsmodels, numpy and scikit-learn say of two models on the same items.

pip install statsmodels scikit-learn
python crates/metrics/tests/golden/make_paired.py
"""
import json
from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

MASK = (1 << 64) - 1


def mixed(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def rows(clusters, seed, replicate):
    """The rows of a replicate: SplitMix64, speakers and then items of each, with replacement."""
    state = mixed((mixed(seed) + replicate) & MASK)

    def below(bound):
        nonlocal state
        state = (state + 0x9E3779B97F4A7C15) & MASK
        return (mixed(state) * bound) >> 64

    drawn = []
    for _ in clusters:
        own = clusters[below(len(clusters))]
        drawn += [own[below(len(own))] for _ in own]
    return drawn


pairs = [(1, 0), (3, 9), (12, 12), (0, 24), (10, 15), (40, 20), (300, 250), (5, 0), (1000, 1200), (2, 2)]
tests = [[b, c, float(mcnemar([[10, b], [c, 10]], exact=True).pvalue)] for b, c in pairs]

probabilities = [[0.01, 0.04, 0.03], [0.5, 0.5], [0.001], [0.02, 0.02, 0.9, 0.011, 1.0]]
holm = [{"p": p, "adjusted": multipletests(p, method="holm")[1].tolist()} for p in probabilities]

draw = np.random.default_rng(0)
n, replicates, seed = 60, 200, 5
speaker = np.sort(draw.integers(0, 6, n))
truth = draw.integers(0, 3, n)
first = np.where(draw.random(n) < 0.5, truth, draw.integers(0, 3, n))
second = np.where(draw.random(n) < 0.7, truth, draw.integers(0, 3, n))
clusters = [np.flatnonzero(speaker == own).tolist() for own in dict.fromkeys(speaker.tolist())]
excess = {"replicates": replicates}
for key, of in [("truth", truth), ("first", first), ("second", second), ("speaker", speaker)]:
    excess[key] = of.tolist()
for name, score in [("uar", balanced_accuracy_score), ("wa", accuracy_score)]:
    values = []
    for replicate in range(replicates):
        at = rows(clusters, seed, replicate)
        values.append(score(truth[at], second[at]) - score(truth[at], first[at]))
    values = np.array(values)
    low, high = np.quantile(values, [0.025, 0.975])
    sides = [(np.sum(values <= 0) + 1) / (replicates + 1), (np.sum(values >= 0) + 1) / (replicates + 1)]
    difference = score(truth, second) - score(truth, first)
    excess[name] = {"difference": difference, "low": low, "high": high, "p": min(1.0, 2 * min(sides))}

text = json.dumps({"mcnemar": tests, "holm": holm, "excess": excess}, default=float)
Path(__file__).with_name("paired.json").write_text(text + "\n")
