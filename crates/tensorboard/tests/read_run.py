"""Prints, as JSON, what the tensorboard package makes of a run: read_run.py LOGDIR RUN.

Through EventAccumulator, which scripts use, and through the web server, which people see (with its
Python loader, so that the native data server is not needed). Exits with 77 if the package is missing.
"""

import json
import pathlib
import sys
import time
import urllib.error
import urllib.request

try:
    from tensorboard import program
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError as error:
    print(error)
    sys.exit(77)

logdir, run = sys.argv[1:]

accumulator = EventAccumulator(f"{logdir}/{run}")
accumulator.Reload()
accumulated = {
    tag: [[event.step, event.value] for event in accumulator.Scalars(tag)]
    for tag in accumulator.Tags()["scalars"]
}

server = program.TensorBoard()
server.configure(
    argv=[None, "--logdir", logdir, "--port", "0", "--host", "127.0.0.1", "--load_fast", "false"]
)
url = server.launch()


def get(path, body=None):
    headers = {} if body is None else {"Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}data/plugin/{path}", data, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def get_json(path, body=None):
    return json.loads(get(path, body))


def runs():
    with urllib.request.urlopen(f"{url}data/runs", timeout=30) as answer:
        return json.loads(answer.read())


# The server answers before it has read the files.
directories = {path.name for path in pathlib.Path(logdir).iterdir()}
for attempt in range(300):
    try:
        experiment = get_json("hparams/experiment", {"includeMetrics": True})
        if experiment.get("hparamInfos") and set(runs()) == directories:
            break
    except urllib.error.HTTPError:
        pass
    time.sleep(0.1)

groups = get_json(
    "hparams/session_groups",
    {
        "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
        "colParams": [{"metric": metric["name"]} for metric in experiment["metricInfos"]],
        "startIndex": 0,
        "sliceSize": 10,
    },
)
image = get_json(f"images/images?run={run}&tag=confusion&sample=0")[0]
json.dump(
    {
        "accumulated": accumulated,
        "served": get_json(f"scalars/scalars?run={run}&tag=train/loss"),
        "text": get_json(f"text/text?run={run}&tag=config")[0]["text"],
        "histogram": get_json(f"histograms/histograms?run={run}&tag=weights")[0][2],
        "image_step": image["step"],
        "png": list(get(f"images/individualImage?{image['query']}")),
        "experiment": experiment,
        "groups": groups,
    },
    sys.stdout,
)
