"""Writes the files that the tests of emorun-weights read, with PyTorch's and safetensors' own writers.

Made with torch 2.15.0, safetensors 0.8.0, numpy 2.4.6. Run in this folder: python make_golden.py
`expected.json` holds, a file, each tensor's stored type, shape and values as f32.
"""

import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import torch
from safetensors.torch import save_file

torch.manual_seed(3)
expected = {}


def note(file, tensors):
    expected[file] = {
        name: {
            "dtype": str(t.dtype).removeprefix("torch.").replace("float", "f").replace("bf", "bf").replace("int", "i"),
            "shape": list(t.shape),
            "values": t.detach().to(torch.float32).flatten().tolist() if t.dtype.is_floating_point else None,
        }
        for name, t in tensors.items()
    }


def state():
    return OrderedDict(
        {
            "encoder.weight": torch.randn(3, 4),
            "encoder.bias": torch.randn(3),
            "scale": torch.tensor(0.25),
            "empty": torch.zeros(0, 2),
        }
    )


def wrote(file, tensors, save):
    save()
    note(file, tensors)


# safetensors, one file a type, all types in one, and in two parts
mixed = {
    "f32": torch.tensor([[1.5, -2.25, 3.1415927], [1e-40, -0.0, 3.4e38]]),
    "f16": torch.tensor([0.1, -65504.0, 6e-8, 1.0], dtype=torch.float16),
    "bf16": torch.tensor([0.1, -3.3e38, 1e-40, 1.0], dtype=torch.bfloat16).reshape(2, 2),
    "f64": torch.tensor([0.1, 1e-50, -3.0e38], dtype=torch.float64),
    "i64": torch.tensor([1, 2, 3]),
}
wrote("mixed.safetensors", mixed, lambda: save_file(mixed, "mixed.safetensors", metadata={"format": "pt"}))

os.makedirs("sharded", exist_ok=True)
whole = state()
parts = {
    "model-00001-of-00002.safetensors": ["encoder.weight", "scale"],
    "model-00002-of-00002.safetensors": ["encoder.bias", "empty"],
}
for file, names in parts.items():
    save_file({name: whole[name] for name in names}, f"sharded/{file}", metadata={"format": "pt"})
with open("sharded/model.safetensors.index.json", "w") as f:
    weight_map = {name: file for file, names in parts.items() for name in names}
    json.dump({"metadata": {"total_size": 64}, "weight_map": weight_map}, f, indent=1)
with open("sharded/config.json", "w") as f:
    json.dump({"model_type": "hubert", "hidden_size": 4}, f)
with open("sharded/preprocessor_config.json", "w") as f:
    json.dump({"do_normalize": True, "sampling_rate": 16000}, f)
note("sharded", whole)

# torch.save: the zip format, the older one, protocol 4, parameters, wrappers
plain = state()
plain["half"] = torch.randn(5, dtype=torch.float16)
plain["brain"] = torch.randn(2, 2, dtype=torch.bfloat16)
plain["double"] = torch.randn(2, dtype=torch.float64)
plain["steps"] = torch.tensor(7)
wrote("zip.bin", plain, lambda: torch.save(plain, "zip.bin"))
wrote("legacy.bin", plain, lambda: torch.save(plain, "legacy.bin", _use_new_zipfile_serialization=False))
wrote("protocol4.bin", plain, lambda: torch.save(plain, "protocol4.bin", pickle_protocol=4))

module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
parameters = {name: torch.nn.Parameter(t) for name, t in state().items()}
wrote("parameters.pt", parameters, lambda: torch.save(parameters, "parameters.pt"))
inner = module.state_dict()
wrote("wrapped.pt", inner, lambda: torch.save({"epoch": 3, "state_dict": inner, "lr": 1e-4}, "wrapped.pt"))
wrote("model_key.pt", inner, lambda: torch.save({"model": dict(inner), "optimizer": {"m": torch.ones(2)}}, "model_key.pt"))

# one storage behind several tensors: transposed, sliced, stepped, and the same tensor twice
base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
views = {
    "base": base,
    "transposed": base.t(),
    "columns": base[:, 1:4],
    "stepped": base[::2, ::3],
    "last_row": base[3],
    "permuted": base.reshape(2, 2, 6).permute(2, 0, 1),
    "again": base,
}
wrote("views.pt", views, lambda: torch.save(views, "views.pt"))
wrote("views_legacy.pt", views, lambda: torch.save(views, "views_legacy.pt", _use_new_zipfile_serialization=False))

# what must be refused
broken = {"good": torch.ones(2), "nan": torch.tensor([0.0, float("nan"), 1.0]), "huge": torch.tensor([1e300], dtype=torch.float64)}
save_file(broken, "not_finite.safetensors")


class Attack:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return (os.system, (self.command,))


COMMAND = "touch emorun_was_here"
torch.save({"weight": torch.ones(2), "extra": Attack(COMMAND)}, "attack_zip.pt")
torch.save({"weight": torch.ones(2), "extra": Attack(COMMAND)}, "attack_legacy.pt", _use_new_zipfile_serialization=False)
torch.save({"weight": torch.ones(2), "extra": Attack(COMMAND)}, "attack_protocol4.pt", pickle_protocol=4)
with open("attack_bare.bin", "wb") as f:
    pickle.dump(Attack(COMMAND), f)

# the usual malware: code in front of an intact checkpoint, its result popped from the stack
payload = b"c__builtin__\neval\n(X" + struct.pack("<I", 60) + b"__import__('os').system('touch emorun_was_here')".ljust(60) + b"tR0"
with zipfile.ZipFile("zip.bin") as old, zipfile.ZipFile("attack_popped.bin", "w") as new:
    for entry in old.infolist():
        data = old.read(entry)
        if entry.filename.endswith("data.pkl"):
            data = data[:2] + payload + data[2:]
        new.writestr(entry.filename, data)

with open("expected.json", "w") as f:
    json.dump(expected, f, separators=(",", ":"))
    f.write("\n")
