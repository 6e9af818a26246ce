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
device = setup["device"]
# Single precision on a GPU is TF32, as it is in Burn, which has no switch for it.
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
if device != "cpu" and not torch.cuda.is_available():
    sys.exit("torch finds no CUDA device")
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
model.to(device)


class Head(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.score = torch.nn.Linear(width, 1)
        self.hidden = torch.nn.Linear(width, 256)
        self.classes = torch.nn.Linear(256, 4)

    def forward(self, x):
        pooled = (x * torch.softmax(self.score(x), 1)).sum(1)
        return self.classes(F.gelu(self.hidden(pooled)))


wave = 0.1 * torch.randn(setup["batch"], setup["samples"], device=device)
labels = torch.arange(setup["batch"], device=device) % 4
head = Head(config.hidden_size).to(device)
if task == "transformer":
    model.feature_extractor._freeze_parameters()
if task in ("transformer", "full"):
    model.masked_spec_embed = None  # used while pretraining only
    trained = [p for p in [*model.parameters(), *head.parameters()] if p.requires_grad]
else:
    model.requires_grad_(False)
    trained = list(head.parameters())
optimizer = torch.optim.AdamW(trained, 1e-5, **({"fused": True} if tuned else {}))


# Compiling takes a minute on a GPU; on the CPU other things make it faster.
call = torch.compile(model) if tuned and device != "cpu" else model


def run():
    with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=setup["precision"] == "bf16"):
        loss = forward()
    if task != "forward":
        loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def forward():
    if task == "forward":
        with torch.inference_mode():
            return call(wave).last_hidden_state
    if task == "frozen":
        with torch.no_grad():
            frames = call(wave).last_hidden_state
    else:
        frames = call(wave).last_hidden_state
    return F.cross_entropy(head(frames), labels)


how = ", fused AdamW, large blocks kept" if tuned else ""
if tuned and device != "cpu":
    how = ", torch.compile, fused AdamW"
print(f"ready transformers {transformers.__version__}, torch {torch.__version__}{how}", flush=True)
for _ in sys.stdin:
    run()
    if device == "cpu":
        print("done", flush=True)
    else:
        torch.cuda.synchronize()
        print("done", torch.cuda.max_memory_reserved(), flush=True)
