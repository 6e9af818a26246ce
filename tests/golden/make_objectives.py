"""Writes objectives.json, the golden vectors of losses for crates/nodes/tests/it/golden.rs, in double precision.

Made with Python 3.11, torch 2.15.0 and pytorch-metric-learning 2.9.0:
python tests/golden/make_objectives.py

Batch-hard triplets and the supervised contrastive loss are that package's own; the others follow
their papers' equations in plain loops.
"""

import json
from pathlib import Path

import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import SupConLoss, TripletMarginLoss
from pytorch_metric_learning.miners import BatchHardMiner
from pytorch_metric_learning.reducers import MeanReducer
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
LABELS = [0, 1, 0, 2, 1, 0, None, 2, 1, 3]


def number(value):
    """Nine digits hold every float32."""
    return float(f"{float(value):.9g}")


def stored(tensor):
    tensor = tensor.detach()
    return {"shape": list(tensor.shape), "values": [number(v) for v in tensor.flatten()]}


def focal(logits, labels, gamma, weights):
    total, count = 0.0, 0.0
    for row, label in zip(logits, labels):
        if label is not None:
            weight = 1.0 if weights is None else weights[label]
            p = F.softmax(row, 0)[label]
            total = total - weight * (1 - p) ** gamma * torch.log(p)
            count += weight
    return total / count


def present(x, labels):
    kept = [i for i, label in enumerate(labels) if label is not None]
    return x[kept], torch.tensor([labels[i] for i in kept])


def batch_hard(x, labels, margin, normalise):
    x, y = present(x, labels)
    distance = LpDistance(normalize_embeddings=normalise)
    triplets = BatchHardMiner(distance=distance)(x, y)
    # The mean over all anchors, also over those that cost nothing.
    return TripletMarginLoss(margin=margin, distance=distance, reducer=MeanReducer())(x, y, triplets)


def batch_hard_soft(x, labels, normalise):
    x, y = present(x, labels)
    distance = LpDistance(normalize_embeddings=normalise)
    a, p, n = BatchHardMiner(distance=distance)(x, y)
    d = distance(x)
    return F.softplus(d[a, p] - d[a, n]).mean()


def semi_hard(x, labels, margin, normalise):
    x, y = present(x, labels)
    d = LpDistance(normalize_embeddings=normalise)(x)
    costs = []
    for a in range(len(y)):
        negatives = [n for n in range(len(y)) if y[n] != y[a]]
        for p in range(len(y)):
            if p == a or y[p] != y[a]:
                continue
            farther = [n for n in negatives if d[a, n] > d[a, p]]
            if farther:
                negative = min(d[a, n] for n in farther)
            else:
                negative = max(d[a, n] for n in negatives)
            costs.append(torch.clamp(d[a, p] - negative + margin, min=0.0))
    return torch.stack(costs).mean()


def supervised_contrastive(x, labels, temperature):
    x, y = present(x, labels)
    return SupConLoss(temperature=temperature)(x, y)


VALUES = [[1.5, 3.0], [2.0, None], [4.5, 2.5], [None, None], [3.0, 4.0], [2.5, 1.0]]
VOTES = [[0.5, 0.25, 0.25, 0.0], [0.0, 1.0, 0.0, 0.0], None, [0.1, 0.2, 0.3, 0.4]]


def ccc(x, targets):
    costs = []
    for column in range(x.shape[1]):
        kept = [i for i, row in enumerate(targets) if row[column] is not None]
        p, t = x[kept, column], torch.tensor([targets[i][column] for i in kept])
        covariance = ((p - p.mean()) * (t - t.mean())).mean()
        spread = p.var(unbiased=False) + t.var(unbiased=False) + (p.mean() - t.mean()) ** 2
        costs.append(1 - 2 * covariance / spread)
    return torch.stack(costs).mean()


def mse(x, targets):
    pairs = [(x[i, j], t) for i, row in enumerate(targets) for j, t in enumerate(row) if t is not None]
    return sum((p - t) ** 2 for p, t in pairs) / len(pairs)


def soft_label_kl(x, votes):
    kept = [i for i, row in enumerate(votes) if row is not None]
    shares = torch.tensor([votes[i] for i in kept])
    return F.kl_div(F.log_softmax(x[kept], 1), shares, reduction="batchmean")


def center(x, labels, centers):
    x, y = present(x, labels)
    return 0.5 * ((x - centers[y]) ** 2).sum(1).mean()


def ctc():
    """PyTorch's own, over the items whose transcripts fit into their frames."""
    alphabet, texts, lengths = "abcd", ["abba", None, "Dad!", "aaaa", ""], [9, 4, 3, 5, 9]
    x = (2 * torch.randn(5, 9, 5)).requires_grad_()
    counted = [0, 2]
    classes = [[alphabet.index(c) + 1 for c in texts[i].lower() if c in alphabet] for i in counted]
    loss = F.ctc_loss(
        F.log_softmax(x[counted], 2).swapaxes(0, 1),
        torch.tensor(sum(classes, [])),
        torch.tensor([lengths[i] for i in counted]),
        torch.tensor([len(c) for c in classes]),
    )
    loss.backward()
    return {
        "alphabet": alphabet,
        "texts": texts,
        "lengths": lengths,
        "x": stored(x),
        "loss": number(loss.detach()),
        "gradient": stored(x.grad),
    }


def main():
    torch.manual_seed(5)
    cases = []

    def case(kind, fields, shape, loss, **weights):
        x = torch.randn(*shape).requires_grad_()
        value = loss(x)
        value.backward()
        cases.append(
            {
                "kind": kind,
                "fields": fields,
                "labels": LABELS,
                "x": stored(x),
                "weights": {name: stored(tensor) for name, tensor in weights.items()},
                "gradients": {n: stored(t.grad) for n, t in weights.items()},
                "loss": number(value.detach()),
                "gradient": stored(x.grad),
            }
        )

    rows = len(LABELS)
    for gamma in [0.0, 1.0, 2.0, 3.5]:
        for weights in [None, [1.0, 0.5, 3.0, 2.0]]:
            fields = {"gamma": gamma, "class_weights": {"values": weights} if weights else "none"}
            case("focal", fields, (rows, 4), lambda x: focal(x, LABELS, gamma, weights))
    for normalise in [True, False]:
        common = {"normalise": normalise}
        for margin in [0.2, 1.5]:
            fields = common | {"margin": {"hard": margin}}
            hard = lambda x: batch_hard(x, LABELS, margin, normalise)
            case("triplet", fields | {"mining": "batch_hard"}, (rows, 6), hard)
            semi = lambda x: semi_hard(x, LABELS, margin, normalise)
            case("triplet", fields | {"mining": "semi_hard"}, (rows, 6), semi)
        soft = lambda x: batch_hard_soft(x, LABELS, normalise)
        case("triplet", common | {"margin": "soft"}, (rows, 6), soft)
    for temperature in [0.1, 0.7]:
        fields = {"temperature": temperature}
        loss = lambda x: supervised_contrastive(x, LABELS, temperature)
        case("supervised_contrastive", fields, (rows, 6), loss)
    centers = torch.randn(4, 6).requires_grad_()
    case("center", {}, (rows, 6), lambda x: center(x, LABELS, centers), centers=centers)
    numbers = []
    for kind, targets, loss in [
        ("ccc", VALUES, ccc),
        ("mse", VALUES, mse),
        ("soft_label_kl", VOTES, soft_label_kl),
    ]:
        x = (2 * torch.randn(len(targets), 4 if targets is VOTES else 2)).requires_grad_()
        value = loss(x, targets)
        value.backward()
        numbers.append(
            {
                "kind": kind,
                "targets": targets,
                "x": stored(x),
                "loss": number(value.detach()),
                "gradient": stored(x.grad),
            }
        )
    cases = {"labels": cases, "numbers": numbers, "ctc": ctc()}
    text = json.dumps(cases, separators=(",", ":"))
    (Path(__file__).parent / "objectives.json").write_text(text + "\n")
    print(f"objectives.json: {len(text) / 1024:.1f} KiB")


if __name__ == "__main__":
    main()
