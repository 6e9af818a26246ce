"""Small ONNX models with what onnxruntime gives for them: tests/golden/*.onnx and golden.json.

Needs torch 2.15.0, onnx 1.23.2, onnxscript 0.7.2, onnxruntime 1.31.1, numpy 2.4.6:
    python make_golden.py
Everything drawn is drawn with fixed seeds; weights are drawn wider than their defaults, so that no part is idle.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper
from torch import nn
from torch.nn.functional import gelu

HERE = Path(__file__).parent


class Recurrent(nn.Module):
    """Convolutions over samples, layer norm, bidirectional GRU, a head on the mean."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(1, 4, 10, 5)
        self.second = nn.Conv1d(4, 6, 8, 4)
        self.norm = nn.LayerNorm(6)
        self.gru = nn.GRU(6, 3, batch_first=True, bidirectional=True)
        self.head = nn.Linear(6, 3)

    def forward(self, signal):
        x = gelu(self.first(signal[:, None]))
        x = self.norm(gelu(self.second(x)).transpose(1, 2))
        x, _ = self.gru(x)
        return x, self.head(torch.tanh(x.mean(1)))


class Attention(nn.Module):
    """Self-attention under a mask over frames [batch, time, 5], residual, layer norm, GELU."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(5, 8)
        self.qkv = nn.Linear(8, 24)
        self.out = nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)

    def forward(self, features, attention_mask):
        x = self.project(features)
        batch, time, _ = x.shape
        q, k, v = self.qkv(x).view(batch, time, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind(0)
        scores = q @ k.transpose(-1, -2) / 2.0
        scores = scores + (1.0 - attention_mask[:, None, None].float()) * -1e9
        y = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, time, 8)
        return gelu(self.norm(x + self.out(y)))


class Bands(nn.Module):
    """Convolution over bands [batch, 5, time] with the number of frames given, kept in that layout."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(5, 4, 3, padding=1)

    def forward(self, bands, length):
        x = torch.relu(self.conv(bands))
        return x * (torch.arange(x.shape[2])[None] < length[:, None]).float()[:, None]


def drawn(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.5
    return model.eval()


def export(model, name, example, inputs, outputs, dynamic):
    path = HERE / f"{name}.onnx"
    torch.onnx.export(
        model, example, str(path), input_names=inputs, output_names=outputs, dynamic_shapes=dynamic,
        dynamo=True, external_data=False, verbose=False, optimize=True,
    )  # fmt: skip
    stripped = onnx.load(path)
    # Where in which file of whose machine it was made is a third of the size.
    del stripped.metadata_props[:]
    for graph in [stripped.graph, *stripped.functions]:
        for node in graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
    for value in [*stripped.graph.value_info, *stripped.graph.input, *stripped.graph.output]:
        del value.metadata_props[:]
    del stripped.graph.value_info[:]
    onnx.save(stripped, path)
    return path


def case(path, feeds, outputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    results = session.run(outputs, feeds)
    return {
        name: {"shape": list(result.shape), "values": [float(f"{x:.9g}") for x in result.ravel()]}
        for name, result in zip(outputs, results)
    }


def numbers(seed, *shape):
    """What `wave` of tests/golden.rs makes: a 64-bit linear congruential generator's high bits."""
    state, values = seed, []
    for _ in range(int(np.prod(shape))):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        values.append((state >> 40) / 2**23 - 1.0)
    return np.array(values, np.float32).reshape(shape)


def main():
    golden = {}
    time = torch.export.Dim("time", min=8)
    path = export(
        drawn(Recurrent(), 1), "recurrent", (torch.randn(2, 400),), ["signal"], ["hidden_states", "logits"],
        {"signal": {0: torch.export.Dim("batch"), 1: torch.export.Dim("time", min=64)}},
    )  # fmt: skip
    for length in (333, 800):
        golden[f"recurrent {length}"] = case(path, {"signal": numbers(length, 1, length)}, ["hidden_states", "logits"])
    path = export(
        drawn(Attention(), 2), "attention", (torch.randn(1, 20, 5), torch.ones(1, 20, dtype=torch.int64)),
        ["features", "attention_mask"], ["last_hidden_state"],
        {"features": {1: time}, "attention_mask": {1: time}},
    )  # fmt: skip
    for length in (9, 31):
        feeds = {"features": numbers(length, 1, length, 5), "attention_mask": np.ones((1, length), np.int64)}
        golden[f"attention {length}"] = case(path, feeds, ["last_hidden_state"])
    path = export(
        drawn(Bands(), 3), "bands", (torch.randn(1, 5, 20), torch.tensor([20])), ["bands", "length"], ["encoded"],
        {"bands": {2: time}, "length": {}},
    )  # fmt: skip
    for length in (9, 17):
        bands = numbers(length, 1, length, 5).transpose(0, 2, 1).copy()
        golden[f"bands {length}"] = case(path, {"bands": bands, "length": np.array([length])}, ["encoded"])

    # What must be refused. A logarithm of samples is not finite; an operator of nobody's; a fixed length.
    signal = helper.make_tensor_value_info("signal", TensorProto.FLOAT, ["batch", "time"])
    wide = helper.make_tensor_value_info("signal", TensorProto.FLOAT, [1, 400])
    double = helper.make_tensor_value_info("signal", TensorProto.INT64, ["batch", "time"])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, ["batch", "time"])
    for name, node, domain, input in [
        ("logarithm", helper.make_node("Log", ["signal"], ["result"]), None, signal),
        ("foreign", helper.make_node("Emotion", ["signal"], ["result"], domain="example.org"), "example.org", signal),
        ("unknown", helper.make_node("Sing", ["signal"], ["result"]), None, signal),
        ("fixed", helper.make_node("Abs", ["signal"], ["result"]), None, wide),
        ("whole", helper.make_node("Cast", ["signal"], ["result"], to=TensorProto.FLOAT), None, double),
    ]:
        opsets = [helper.make_opsetid("", 18)] + ([helper.make_opsetid(domain, 1)] if domain else [])
        graph = helper.make_graph([node], name, [input], [result])
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), HERE / f"{name}.onnx")

    # Weights in a file beside the model.
    weight = onnx.numpy_helper.from_array(np.full((64,), 2.0, np.float32), "factor")
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["signal"], ["mean"], keepdims=1), helper.make_node("Mul", ["mean", "factor"], ["result"])],
        "beside", [signal], [helper.make_tensor_value_info("result", TensorProto.FLOAT, ["batch", 64])], [weight],
    )  # fmt: skip
    onnx.save_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), HERE / "beside.onnx",
        save_as_external_data=True, location="beside.onnx.data", size_threshold=16,
    )  # fmt: skip
    (HERE / "golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


main()
