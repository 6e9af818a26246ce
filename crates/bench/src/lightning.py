"""The peers of `emorun bench loop`: the same small network in PyTorch, alone, in a bare loop and in Lightning.

Trains once and answers with one line of JSON: seconds, steps, versions."""
import json
import logging
import sys
import tempfile
import time
import warnings

warnings.filterwarnings("ignore")
import torch
import torch.nn.functional as F

setup = json.loads(sys.argv[1])
side, steps, batch = setup["side"], setup["steps"], setup["batch"]
torch.set_num_threads(setup["threads"])
torch.manual_seed(1)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = torch.nn.Linear(setup["width"], setup["hidden"])
        self.classes = torch.nn.Linear(setup["hidden"], 4)

    def forward(self, x):
        return self.classes(F.relu(self.hidden(x.mean(1))))


items = torch.utils.data.TensorDataset(
    torch.randn(setup["items"], setup["frames"], setup["width"]), torch.arange(setup["items"]) % 4
)
loader = torch.utils.data.DataLoader(items, batch_size=batch, shuffle=True)
versions = f"torch {torch.__version__}"


def step(model, optimizer, x, y):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


def alone():
    model = Model()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    x, y = next(iter(loader))
    step(model, optimizer, x, y)
    started = time.perf_counter()
    for _ in range(steps):
        step(model, optimizer, x, y)
    return time.perf_counter() - started


def bare():
    model = Model()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    started = time.perf_counter()
    done = 0
    while done < steps:
        for x, y in loader:
            step(model, optimizer, x, y)
            done += 1
            if done == steps:
                break
    return time.perf_counter() - started


def lightning():
    global versions
    import lightning as L
    from lightning.pytorch.callbacks import Callback, ModelCheckpoint
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

    versions += f", lightning {L.__version__}"
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Task(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = Model()

        def training_step(self, batch, _):
            x, y = batch
            loss = F.cross_entropy(self.model(x), y)
            self.log("train/loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 1e-3)

    class Clock(Callback):
        def on_train_start(self, *_):
            self.started = time.perf_counter()

        def on_train_end(self, *_):
            self.seconds = time.perf_counter() - self.started

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = L.Trainer(
            accelerator="cpu",
            max_steps=steps,
            max_epochs=-1,
            default_root_dir=folder,
            logger=[CSVLogger(folder), TensorBoardLogger(folder)],
            log_every_n_steps=setup["log_every"],
            callbacks=[clock, ModelCheckpoint(folder, every_n_train_steps=setup["checkpoint_every"])],
        )
        trainer.fit(Task(), loader)
    return clock.seconds


stdout, sys.stdout = sys.stdout, sys.stderr
seconds = {"alone": alone, "bare": bare, "lightning": lightning}[side]()
print(json.dumps({"seconds": seconds, "steps": steps, "versions": versions}), file=stdout)
