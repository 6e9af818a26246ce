"""Weights of a small PyTorch classifier, vectors for it, and what it makes of them.

Written beside this file: `head.pt` and `head.safetensors` (the same state_dict), `vectors.safetensors` (one vector for
each item of the synthetic corpus of `tests/it/support.rs`), `expected.json` (class probabilities of each item). The
classes of the network are `angry`, `neutral`, in this order, which is not that of the experiment.

    python make_init.py     (torch 2.x, safetensors)
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
WIDTH, HIDDEN = 3, 5


class Judge(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(WIDTH, HIDDEN, bias=False)
        self.norm = torch.nn.BatchNorm1d(HIDDEN)
        # As many outputs as inputs: turned round, nothing but the numbers would tell.
        self.second = torch.nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.second_norm = torch.nn.BatchNorm1d(HIDDEN)
        self.out = torch.nn.Linear(HIDDEN, 2)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x)))
        x = torch.relu(self.second_norm(self.second(x)))
        return self.out(x)


torch.manual_seed(4)
judge = Judge()
for norm in (judge.norm, judge.second_norm):
    torch.nn.init.normal_(norm.weight, 1.0, 0.3)
    torch.nn.init.normal_(norm.bias, 0.0, 0.3)
    torch.nn.init.normal_(norm.running_mean, 0.0, 0.5)
    torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
    norm.num_batches_tracked += 7
judge.eval()

keys = [
    f"synthetic/{speaker:02}/{emotion}_{sentence:02}"
    for speaker in range(1, 7)
    for emotion in ("neutral", "angry")
    for sentence in range(1, 4)
]
vectors = {key: torch.randn(WIDTH) for key in keys}
with torch.no_grad():
    probabilities = {key: judge(vector[None]).softmax(1)[0] for key, vector in vectors.items()}

torch.save({"state_dict": judge.state_dict()}, HERE / "head.pt")
save_file({name: tensor.contiguous() for name, tensor in judge.state_dict().items()}, HERE / "head.safetensors")
save_file(vectors, HERE / "vectors.safetensors")
expected = {
    key: dict(zip(("angry", "neutral"), (round(float(p), 7) for p in found))) for key, found in probabilities.items()
}
(HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
