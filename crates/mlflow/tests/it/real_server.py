"""MLflow's own server, for the test beside it: `real_server.py FOLDER`.

Prints its address once it answers. Then, for each line `NAME` on stdin, what MLflow's own client reads of the experiment of
that name, as JSON on a line. Ends, with the server, when stdin does. Exits with 77 where the package is missing.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

try:
    import mlflow
    from mlflow.tracking import MlflowClient
except ImportError as error:
    print(error)
    sys.exit(77)


def read(client, name):
    experiment = client.get_experiment_by_name(name)
    runs = []
    for run in client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"]):
        history = {}
        for key in run.data.metrics:
            points = client.get_metric_history(run.info.run_id, key)
            history[key] = [[point.step, point.timestamp, point.value] for point in points]
        files = [item.path for item in client.list_artifacts(run.info.run_id)]
        files += [item.path for item in client.list_artifacts(run.info.run_id, "report")]
        runs.append(
            {
                "name": run.info.run_name,
                "status": run.info.status,
                "start": run.info.start_time,
                "end": run.info.end_time,
                "params": run.data.params,
                "tags": run.data.tags,
                "history": history,
                "files": sorted(files),
            }
        )
    return runs


def main(folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts"]
    log = open(f"{folder}/server.log", "w")
    server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        while True:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).read()
                break
            except OSError:
                if server.poll() is not None:
                    sys.exit(open(f"{folder}/server.log").read())
                time.sleep(0.2)
        print(address, flush=True)
        client = MlflowClient(address)
        for line in sys.stdin:
            print(json.dumps(read(client, line.strip())), flush=True)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


main(sys.argv[1])
