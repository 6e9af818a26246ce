"""The peer of `emorun bench encoders`: the same model in HuggingFace transformers.

Answers every line of stdin with one on stdout after one pass or step."""
import json
import sys
import warnings

warnings.filterwarnings("ignore")
import torch
import torch.nn.functional as F
import transformers
from transformers import AutoConfig, AutoModel

setup = json.loads(sys.argv[1])
task, tuned = setup["task"], setup["tuned"]
torch.set_num_threads(setup["threads"])
torch.manual_seed(1)
none = dict.fromkeys(
    ["hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout", "final_dropout", "layerdrop"], 0.0
)
sizes = dict(setup["model"])
config = AutoConfig.for_model(sizes.pop("model_type"), **{**sizes, **none, "apply_spec_augment": False})
try:
    model = AutoModel.from_config(config, attn_implementation="sdpa")
except ValueError:  # WavLM has only its own attention
    model = AutoModel.from_config(config)
model.eval()  # nothing is dropped in training either


class Head(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.score = torch.nn.Linear(width, 1)
        self.hidden = torch.nn.Linear(width, 256)
        self.classes = torch.nn.Linear(256, 4)

    def forward(self, x):
        pooled = (x * torch.softmax(self.score(x), 1)).sum(1)
        return self.classes(F.gelu(self.hidden(pooled)))


wave = 0.1 * torch.randn(setup["batch"], setup["samples"])
labels = torch.arange(setup["batch"]) % 4
head = Head(config.hidden_size)
if task == "transformer":
    model.feature_extractor._freeze_parameters()
if task in ("transformer", "full"):
    model.masked_spec_embed = None  # used while pretraining only
    trained = [p for p in [*model.parameters(), *head.parameters()] if p.requires_grad]
else:
    model.requires_grad_(False)
    trained = list(head.parameters())
optimizer = torch.optim.AdamW(trained, 1e-5, **({"fused": True} if tuned else {}))


def run():
    if task == "forward":
        with torch.inference_mode():
            return model(wave).last_hidden_state
    if task == "frozen":
        with torch.no_grad():
            frames = model(wave).last_hidden_state
    else:
        frames = model(wave).last_hidden_state
    loss = F.cross_entropy(head(frames), labels)
    loss.item()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


how = ", fused AdamW, large blocks kept" if tuned else ""
print(f"ready transformers {transformers.__version__}, torch {torch.__version__}{how}", flush=True)
for _ in sys.stdin:
    run()
    print("done", flush=True)
