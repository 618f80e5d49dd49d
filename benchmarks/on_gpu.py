"""What needs a GPU: resuming after any batch, loss scaling that skips updates, both frameworks' parity, the kernels.

python benchmarks/on_gpu.py trains PyTorch Lightning on the first GPU, and Keras on each backend that sees one. It
prints the tables of docs/gpu.md and writes nothing.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import kernels
import numpy as np

from samestep import AdamW, CosineDecay, LinearDecay, Recipe, Warmup, percent, updates
from samestep.parity.problem import Problem, Weights

BATCHES, EPOCHS = 8, 3
RECIPE = Recipe(
    AdamW(1e-3, 0.1),
    learning_rate=Warmup(updates(5), start=0.1) * CosineDecay(percent(100), end=0.1),
    weight_decay=LinearDecay(percent(100), end=0.5),
    momentum=LinearDecay(percent(100), start=0.9, end=1.0),
)
PROBLEM = Problem(epochs=5)
SETTINGS: dict[str, dict[str, Any]] = {
    "32-true": {},
    "32-true, accumulate 2": {"accumulate_grad_batches": 2},
    "bf16-mixed": {"precision": "bf16-mixed"},
    "16-mixed": {"precision": "16-mixed"},
}
QUIET: dict[str, Any] = {
    "devices": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_model_summary": False,
    "enable_progress_bar": False,
}


def resumed_on_gpu() -> None:
    """Resume from a checkpoint after each batch; count the runs that equal the uninterrupted one bit for bit."""
    import pytorch_lightning as pl
    import torch

    from samestep.lightning import HyperparameterScheduler, TraceRecorder, build_optimizer

    torch.use_deterministic_algorithms(True)

    class Network(pl.LightningModule):
        def __init__(self, spec: Any, loss_scale: float) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.net = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
            self.spec, self.loss_scale = spec, loss_scale

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            inputs, classes = batch
            return torch.nn.functional.cross_entropy(self.net(inputs), classes) * self.loss_scale

        def configure_optimizers(self) -> Any:
            return build_optimizer(self.spec, self)

    class Save(pl.Callback):
        def __init__(self, folder: Path) -> None:
            self.folder = folder

        def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any) -> None:
            trainer.save_checkpoint(self.folder / f"{trainer.current_epoch}-{args[-1]}.ckpt")

    inputs, classes = (torch.tensor(array) for array in PROBLEM.train)
    dataset = torch.utils.data.TensorDataset(inputs[:32].repeat(BATCHES, 1), classes[:32].repeat(BATCHES))

    def train(options: dict[str, Any], *callbacks: Any, ckpt_path: Any = None) -> tuple[Any, Any, Any]:
        # The gradients overflow in float16 until the scaler has reduced its scale far enough.
        module = Network(RECIPE.optimizer, 1e3 if options.get("precision") == "16-mixed" else 1.0)
        recorder = TraceRecorder()
        every = [HyperparameterScheduler(RECIPE), recorder, *callbacks]
        trainer = pl.Trainer(max_epochs=EPOCHS, accelerator="gpu", callbacks=every, **QUIET, **options)
        trainer.fit(module, torch.utils.data.DataLoader(dataset, batch_size=32), ckpt_path=ckpt_path)
        (optimizer,) = trainer.optimizers
        state = [value.cpu() for each in optimizer.state.values() for value in each.values()]
        return recorder.trace, [parameter.detach().cpu() for parameter in module.parameters()] + state, optimizer

    for name, options in SETTINGS.items():
        with tempfile.TemporaryDirectory() as folder:
            trace, arrays, optimizer = train(options, Save(Path(folder)))
            equal, checkpoints = 0, sorted(Path(folder).iterdir())
            for path in checkpoints:
                rest, its, _ = train(options, ckpt_path=path)
                number = len(trace) - len(rest)
                tail = trace.entries[number:] == rest.entries
                equal += tail and all(map(torch.equal, arrays, its))
            kernel = "fused" if optimizer.param_groups[0]["fused"] else "foreach"
            made, batches = len(trace), BATCHES * EPOCHS // options.get("accumulate_grad_batches", 1)
            print(f"| {name} ({kernel}) | {made} of {batches} | {equal} of {len(checkpoints)} |", flush=True)


def trained(device: str) -> Weights:
    """The parity problem in Lightning on a device, with samestep."""
    import pytorch_lightning as pl
    import torch

    from samestep.lightning import HyperparameterScheduler, build_optimizer
    from samestep.parity.in_lightning import Network

    spec: Any = RECIPE.optimizer
    network = Network(PROBLEM.initial_weights(), lambda module: build_optimizer(spec, module), [])
    callbacks: Any = [HyperparameterScheduler(RECIPE)]
    trainer = pl.Trainer(max_epochs=PROBLEM.epochs, accelerator=device, callbacks=callbacks, **QUIET)
    dataset = torch.utils.data.TensorDataset(*map(torch.tensor, PROBLEM.train))
    trainer.fit(network, torch.utils.data.DataLoader(dataset, batch_size=PROBLEM.batch_size))
    return network.cpu().weights()


def in_keras(path: str) -> None:
    """Train the parity problem in Keras on its backend's default device; write the weights to a file."""
    import keras

    from samestep.parity.in_keras import train

    run = train(RECIPE.plan(PROBLEM.updates_per_epoch, PROBLEM.epochs), PROBLEM, False, lambda epoch: None)
    device = keras.ops.convert_to_tensor([0.0]).device
    np.savez(path, **run.weights[-1])
    print(f"{keras.backend.backend()} on {device}", file=sys.stderr)


def apart(ours: Weights, theirs: Weights) -> float:
    """The distance of weights, relative to the distance travelled."""
    start = PROBLEM.initial_weights()

    def norm(a: Weights, b: Weights) -> float:
        return float(np.sqrt(sum(((a[name].astype("float64") - b[name]) ** 2).sum() for name in start)))

    return norm(ours, theirs) / norm(theirs, start)


def main() -> None:
    """Print the tables."""
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    if sys.argv[1:2] == ["keras"]:
        return in_keras(sys.argv[2])
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}\n")
    print("| Lightning on the GPU | updates made | resumed bit for bit |\n|---|---|---|")
    begun = time.perf_counter()
    resumed_on_gpu()
    print(f"\nin {time.perf_counter() - begun:.0f} s\n\n| against Lightning on the GPU | distance |\n|---|---|")
    ours = trained("gpu")
    print(f"| Lightning on the CPU | {apart(trained('cpu'), ours):.1e} |", flush=True)
    # On a GPU, JAX multiplies matrices in TF32 unless told otherwise; torch only if told to.
    for backend, precision in (("torch", "float32"), ("jax", "tensorfloat32"), ("jax", "float32")):
        with tempfile.TemporaryDirectory() as folder:
            environment = {
                **os.environ,
                "KERAS_BACKEND": backend,
                "JAX_DEFAULT_MATMUL_PRECISION": precision,
                "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            }
            command = [sys.executable, __file__, "keras", f"{folder}/weights.npz"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                print(f"| Keras, {backend} | {done.stderr.strip().splitlines()[-1]} |")
                continue
            with np.load(f"{folder}/weights.npz") as theirs:
                where = done.stderr.strip().splitlines()[-1]
                print(f"| Keras, {where}, {precision} matmul | {apart(dict(theirs), ours):.1e} |", flush=True)
    print()
    kernels.table("cuda")  # python benchmarks/kernels.py cpu does the same without a GPU
    return None


if __name__ == "__main__":
    main()
