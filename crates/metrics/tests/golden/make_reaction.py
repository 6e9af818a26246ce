"""Writes reaction.json: what the formulas of the REACT challenge's programs give, transcribed to numpy, for sequences that follow
from whole numbers (`rows` below, and `rows` in tests/reaction.rs).

pip install numpy scipy tslearn
python crates/metrics/tests/golden/make_reaction.py
"""
import json
from pathlib import Path

import numpy as np
from scipy.spatial.distance import pdist
from scipy.stats import pearsonr
from tslearn.metrics import dtw

MASK = (1 << 64) - 1
N, K, T, D = 4, 3, 130, 25


def mixed(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def noise(kind, clip, frame, channel):
    key = ((kind * 64 + clip) * 1024 + frame) * 64 + channel
    return mixed((key * 0x9E3779B97F4A7C15 + 1) & MASK) >> 56


def rows(kind, clip, delay, own, frames=T):
    """Sums of eight neighbouring draws of the clip, `delay` frames later, and `own` parts of the kind's own; over 4096."""
    def value(t, d):
        shared = sum(noise(0, clip, t + 100 - delay + s, d) for s in range(8))
        extra = sum(noise(kind, clip, t + s, d) for s in range(4))
        return ((4 - own) * shared + 2 * own * extra) / 8192
    return np.array([[value(t, d) for d in range(D)] for t in range(frames)])


speaker = np.array([rows(0, n, 0, 0) for n in range(N)])
# Listeners react after 7 frames, samples after 7 to 9, the second of each clip 3 frames before the speaker.
listener = np.array([rows(1, n, 7, 1) for n in range(N)])
pred = np.array([[rows(2 + k, n, -3 if k == 1 else 7 + k, 1 + k) for k in range(K)] for n in range(N)])
# Channels that do not vary.
listener[:, :, 3] = 0.25
pred[:, :, :, 9] = 0.5
neighbours = np.eye(N, dtype=int)
neighbours[0, 2] = neighbours[2, 0] = neighbours[3, 1] = 1


def ccc(y_true, y_pred):
    found = []
    for i in range(D):
        a, b = y_true[:, i], y_pred[:, i]
        still = np.ptp(a) == 0 or np.ptp(b) == 0
        cor = 0.0 if still else np.corrcoef(a, b)[0, 1]
        found.append(2 * cor * a.std() * b.std() / (a.var() + b.var() + (a.mean() - b.mean()) ** 2 + 1e-8))
    return np.mean(found)


def frcorr():
    return np.mean([sum(max(ccc(listener[j], pred[n, k]) for j in np.flatnonzero(neighbours[n])) for k in range(K)) for n in range(N)])


def frdist():
    def apart(a, b):
        a, b = a.astype(np.float32), b.astype(np.float32)
        return sum(w * dtw(a[:, s:e], b[:, s:e]) for s, e, w in [(0, 15, 1 / 15), (15, 17, 1), (17, 25, 1 / 8)])
    return np.mean([sum(min(apart(pred[n, k], listener[j]) for j in np.flatnonzero(neighbours[n])) for k in range(K)) for n in range(N)])


def both_ways(rows):
    """Sum of squared distances of all ordered pairs."""
    return 2 * np.sum(pdist(rows, "sqeuclidean"))


def frdiv():
    return np.mean([both_ways(pred[n].reshape(K, -1)) / (K * (K - 1) * T * D) for n in range(N)])


def frdvs():
    return sum(both_ways(pred[:, k].reshape(N, -1)) for k in range(K)) / (N * (N - 1) * K * T * D)


def frvar():
    return np.mean(np.var(pred, axis=2, ddof=1))


def lag(sample, of):
    """Centre minus the place of the highest mean correlation, negated: frames by which the sample is later. Channels that do
    not vary are left out: in the challenge's program they make every lag `nan`, and the result 49."""
    moving = [d for d in range(D) if np.ptp(sample[:, d]) > 0 and np.ptp(of[:, d]) > 0]

    def at(lag):
        a, b = (sample[lag:], of[:-lag]) if lag > 0 else (sample[:lag], of[-lag:]) if lag < 0 else (sample, of)
        return np.mean([np.corrcoef(a[:, d], b[:, d])[0, 1] for d in moving])
    values = [at(one) for one in range(-49, 50)]
    return int(np.argmax(values)) - len(values) // 2


lags = [[lag(pred[n, k], speaker[n]) for k in range(K)] for n in range(N)]


def branch(start, end):
    a, b = pred[..., start:end], listener[:, None, :, start:end]
    apart = a - b
    moving = [pearsonr(pred[n, k, :, d], listener[n, :, d])[0] for n in range(1) for k in range(K) for d in range(start, end)
              if np.ptp(pred[n, k, :, d]) > 0 and np.ptp(listener[n, :, d]) > 0]
    return {"mse": np.mean(apart[0] ** 2), "mae": np.mean(abs(apart[0])), "rmse": np.sqrt(np.mean(apart[0] ** 2)),
            "pearson": np.mean(moving), "difference": np.mean(abs(np.diff(pred[0, 0, :, start:end], axis=0))),
            "acceleration": np.mean(abs(np.diff(pred[0, 0, :, start:end], n=2, axis=0)))}


short = rows(1, 0, 7, 1, 40)[:, :3]
golden = {
    "first": speaker[1, 2, :4].tolist(),
    "frcorr": frcorr(), "frdist": frdist(), "frdiv": frdiv(), "frdvs": frdvs(), "frvar": frvar(),
    "lags": lags, "frsyn": np.mean(np.abs(lags)), "frsyn_first": np.mean(np.abs(lags)[:, 0]),
    "dtw_of_other_lengths": dtw(pred[0, 0, :, :3].astype(np.float32), short.astype(np.float32)),
    "branches": [branch(0, 15), branch(15, 25)],
}
Path(__file__).with_name("reaction.json").write_text(json.dumps(golden, indent=1) + "\n")
