"""Writes scalar.tfrecord with the tensorboard package's own writer and messages.

Made with tensorboard 2.21.0, Python 3.11.
"""

from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

event = Event(
    wall_time=1_700_000_000.25,
    step=7,
    summary=Summary(value=[Summary.Value(tag="train/loss", simple_value=0.625)]),
)
with open(Path(__file__).with_name("scalar.tfrecord"), "wb") as file:
    RecordWriter(file).write(event.SerializeToString())
