"""Prints, as JSON, what the tensorboard package reads in a run directory: read_run.py RUN.

Exits with 77 if the package is missing.
"""

import json
import sys

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator as Dashboards
    from tensorboard.plugins.hparams import plugin_data_pb2
except ImportError as error:
    print(error)
    sys.exit(77)

accumulator = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "images": 0, "tensors": 0})
accumulator.Reload()
tags = accumulator.Tags()
# The accumulator for scripts never takes tensors back when a run starts again, the one behind the
# dashboards does: it says what a person sees.
dashboards = Dashboards(sys.argv[1], size_guidance={"tensors": 0})
dashboards.Reload()


def plugin(tag):
    return accumulator.SummaryMetadata(tag).plugin_data


def value_of(value):
    return getattr(value, value.WhichOneof("kind"))


texts, images, hparams = {}, {}, {"values": {}, "ended": False}
for tag in tags["tensors"]:
    events = accumulator.Tensors(tag)
    if plugin(tag).plugin_name == "text":
        texts[tag] = events[-1].tensor_proto.string_val[0].decode()
    elif plugin(tag).plugin_name == "images":
        images[tag] = [event.step for event in dashboards.Tensors(tag)]
        for event in events:
            assert event.tensor_proto.string_val[2].startswith(b"\x89PNG"), tag
    elif plugin(tag).plugin_name == "hparams":
        data = plugin_data_pb2.HParamsPluginData.FromString(plugin(tag).content)
        if data.HasField("session_start_info"):
            hparams["group"] = data.session_start_info.group_name
            hparams["values"] = {k: value_of(v) for k, v in data.session_start_info.hparams.items()}
        elif data.HasField("session_end_info"):
            hparams["ended"] = True

json.dump(
    {
        "scalars": {tag: [[e.step, e.value] for e in accumulator.Scalars(tag)] for tag in tags["scalars"]},
        "texts": texts,
        "images": images,
        "hparams": hparams,
    },
    sys.stdout,
)
