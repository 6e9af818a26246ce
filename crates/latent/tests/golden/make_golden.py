"""Golden values for crates/latent: scikit-learn 1.9, umap-learn 0.5.

python make_golden.py > golden.json
"""

import json
import sys
import warnings

import numpy as np
import umap
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE, trustworthiness
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore")


def probe(x, speakers, folds=5):
    predicted = np.zeros(len(x), int)
    places = np.zeros(len(x), int)
    for speaker in np.unique(speakers):
        own = np.flatnonzero(speakers == speaker)
        places[own] = np.arange(len(own)) % folds
    for fold in range(folds):
        held = places == fold
        scaler = StandardScaler().fit(x[~held])
        model = LogisticRegression(C=1.0, tol=1e-10, max_iter=10000)
        model.fit(scaler.transform(x[~held]), speakers[~held])
        predicted[held] = model.predict(scaler.transform(x[held]))
    return float((predicted == speakers).mean())


def mmd2(x, y, bandwidth):
    def kernel(a, b):
        squared = ((a[:, None] - b[None]) ** 2).sum(-1)
        return np.exp(-squared / (2 * bandwidth**2))

    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    n, m = len(x), len(y)
    return (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1)) - 2 * xy.mean()


def case(x, classes, speakers, reference):
    x = np.round(np.asarray(x), 4).astype(np.float32)
    wide = x.astype(np.float64)
    distances = np.sqrt(((wide[:, None] - wide[None]) ** 2).sum(-1))
    bandwidth = float(np.median(distances[np.triu_indices(len(x), 1)]))
    pca = PCA(2, svd_solver="full").fit(wide)
    plane = pca.transform(wide)
    present = np.unique(classes)
    found = {
        "vectors": [[float(f"{v:.7g}") for v in row] for row in x],
        "classes": classes.tolist(),
        "speakers": speakers.tolist(),
        "silhouette": float(silhouette_score(distances, classes, metric="precomputed")),
        "bandwidth": bandwidth,
        "mmd2": [
            [int(a), int(b), float(mmd2(wide[classes == a], wide[classes == b], bandwidth))]
            for i, a in enumerate(present)
            for b in present[i + 1 :]
            if (classes == a).sum() > 1 and (classes == b).sum() > 1
        ],
        "pca": plane.tolist(),
        "variance_share": pca.explained_variance_ratio_.tolist(),
        "trustworthiness_pca": float(trustworthiness(wide, plane, n_neighbors=5)),
        "probe": probe(wide, speakers),
    }
    if reference:
        tsne = TSNE(perplexity=30, method="exact", random_state=0).fit_transform(wide)
        found["trustworthiness_tsne"] = float(trustworthiness(wide, tsne, n_neighbors=5))
        found["silhouette_tsne"] = float(silhouette_score(tsne, classes))
        fitted = umap.UMAP(random_state=0, n_jobs=1).fit_transform(wide)
        found["trustworthiness_umap"] = float(trustworthiness(wide, fitted, n_neighbors=5))
        found["silhouette_umap"] = float(silhouette_score(fitted, classes))
    return found


def main():
    random = np.random.default_rng(16)
    digits = load_digits()
    chosen = random.permutation(len(digits.data))[:300]
    # Whole numbers have ties, which every implementation orders its own way.
    pictures = np.round(digits.data[chosen] + random.normal(size=(300, 64)) * 0.3, 2)
    blobs = random.normal(size=(4, 40)) * 1.5
    classes = random.integers(0, 4, 60)
    speakers = random.integers(0, 5, 60)
    voices = random.normal(size=(5, 40))
    wide = blobs[classes] + voices[speakers] + random.normal(size=(60, 40)) * 1.5
    classes[0] = 4  # alone in its class
    cases = {
        "digits": case(pictures, digits.target[chosen], np.arange(300) * 7919 % 12, True),
        "more_items_than_dimensions": case(wide, classes, speakers, False),
        "more_dimensions_than_items": case(wide[:30], classes[:30], speakers[:30], False),
    }
    json.dump(cases, sys.stdout)


main()
