"""Writes bootstrap.json: speaker-clustered percentile intervals of random predictions, by numpy and scikit-learn.

Python 3.11, numpy 2.4.6, scikit-learn 1.9.1.

`same`: with the draws of SplitMix64 as `Bootstrap` documents them, so that the ends must agree to rounding. `other`: with
numpy's own generator and 20 000 replicates, which agrees as far as 2000 replicates allow; `width` is that interval's.
"""

import json
import pathlib

import numpy as np
from sklearn import metrics as sk

MASK = (1 << 64) - 1
rng = np.random.default_rng(11)


def mixed(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


class SplitMix:
    def __init__(self, seed, replicate):
        self.state = mixed((mixed(seed) + replicate) & MASK)

    def integers(self, bound):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        return (mixed(self.state) * bound) >> 64


def draw(groups, generator):
    rows = []
    for _ in groups:
        own = groups[int(generator.integers(len(groups)))]
        rows.extend(own[int(generator.integers(len(own)))] for _ in own)
    return np.array(rows)


def uar(truth, scores):
    predicted = scores.argmax(axis=1)
    return sk.recall_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0)


def wa(truth, scores):
    return sk.accuracy_score(truth, scores.argmax(axis=1))


def macro_f1(truth, scores):
    return sk.f1_score(truth, scores.argmax(axis=1), average="macro", zero_division=0)


def mse(truth, predicted):
    return float(np.mean((truth - predicted) ** 2))


def intervals(truth, said, groups, generators, metrics):
    values = {name: [] for name in metrics}
    for generator in generators:
        rows = draw(groups, generator)
        for name, metric in metrics.items():
            values[name].append(metric(truth[rows], said[rows]))
    return {name: [float(end) for end in np.percentile(own, [2.5, 97.5])] for name, own in values.items()}


def case(name, truth, said, speakers, metrics, seed, replicates):
    speakers = np.array(speakers)
    order = list(dict.fromkeys(speakers.tolist()))
    groups = [np.flatnonzero(speakers == speaker) for speaker in order]
    same = intervals(truth, said, groups, (SplitMix(seed, at) for at in range(replicates)), metrics)
    other = intervals(truth, said, groups, (rng for _ in range(20_000)), metrics)
    return {
        "name": name,
        "truth": truth.tolist(),
        "said": said.astype(np.float64).tolist(),
        "speakers": speakers.tolist(),
        "seed": seed,
        "replicates": replicates,
        "same": same,
        "other": other,
    }


def classes(name, speakers, seed):
    n = len(speakers)
    truth = rng.integers(0, 3, n)
    # A person's own ease makes the items of a speaker alike.
    ease = {speaker: rng.normal(0, 1.5) for speaker in dict.fromkeys(speakers)}
    logits = rng.normal(0, 1, (n, 3))
    logits[np.arange(n), truth] += [0.7 + ease[speaker] for speaker in speakers]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    metrics = {"uar": uar, "wa": wa, "macro_f1": macro_f1}
    return case(name, truth, scores.astype(np.float32), speakers, metrics, seed, 2000)


def numbers(name, speakers, seed):
    n = len(speakers)
    truth = rng.normal(0, 1, n).astype(np.float32)
    said = (truth + rng.normal(0, 0.5, n)).astype(np.float32)
    found = case(name, truth.astype(np.float64), said.astype(np.float64), speakers, {"mse": mse}, seed, 2000)
    return found


def voices(counts):
    names = [f"s{at}" for at, count in enumerate(counts) for _ in range(count)]
    return [names[at] for at in rng.permutation(len(names))]


cases = {
    "classes": [
        classes("speakers alike in size", voices([6] * 8), 42),
        classes("one speaker with most items", voices([30, 4, 4, 3, 1]), 7),
        classes("one item a speaker", voices([1] * 25), 0),
    ],
    "numbers": [numbers("numbers", voices([5, 5, 4, 6, 3, 7]), 123456789)],
}
path = pathlib.Path(__file__).with_name("bootstrap.json")
path.write_text(json.dumps(cases, indent=1) + "\n")
