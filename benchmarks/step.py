"""How much faster a training step on the processor is if glibc keeps freed memory.

    python -m benchmarks.step resnet

Trains the whole network with AdamW on the present dataset: 40 steps, after 40 that are not counted. Each setting runs
three times, in turn and in a new process; the table has the run with the median seconds.
"""

import argparse
import dataclasses
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

STEPS, POSTERS, TIMES = 40, 32, 3
# Environment variables by the text of a row. A harmless variable of glibc makes postergenre leave its settings alone.
SETTINGS: dict[str, dict[str, str]] = {"as glibc comes": {"MALLOC_PERTURB_": "0"}, "memory kept": {}}


def step(network: str) -> str:
    """Measure here: seconds and kernel seconds of a step, and the process's peak memory in MiB, as text."""
    from postergenre import params
    from postergenre.networks import backend

    backend.start()

    from postergenre.networks import architecture, config, training_data
    from postergenre.networks.batches import Batches
    from postergenre.networks.optimizers import AdamW

    train = params.load("train", config.TrainParams)
    backend.configure(train.device, train.deterministic, train.mixed_precision)
    data = training_data.read(Path("data/resized"), Path("data/dataset"))
    built = params.load(f"networks.{network}", config.Network).architecture
    shares = data.train.labels.mean(axis=0)
    model = architecture.build(built, data.store.height, data.store.width, shares, 1, network)
    model.compile(optimizer=AdamW(learning_rate=1e-4, weight_decay=0.1), loss="binary_crossentropy", jit_compile=False)
    rows, labels = data.train.rows[: STEPS * POSTERS], data.train.labels[: STEPS * POSTERS]
    few = dataclasses.replace(data.train, rows=rows, labels=labels)
    batches = Batches(data.store, few, POSTERS, seed=1, epoch=0)
    model.fit(batches, shuffle=False, verbose=0)
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    model.fit(batches, shuffle=False, verbose=0)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    return f"{seconds / len(batches)} {(after.ru_stime - before.ru_stime) / len(batches)} {after.ru_maxrss / 1024}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step")
    parser.add_argument("network")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(step(arguments.network))
        return
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    measured: dict[str, list[list[float]]] = {name: [] for name in SETTINGS}
    for _ in range(TIMES):
        for name, variables in SETTINGS.items():
            command = [sys.executable, "-m", "benchmarks.step", arguments.network, "--here"]
            process = subprocess.run(command, env=inherited | variables, stdout=subprocess.PIPE, text=True, check=True)
            measured[name].append([float(word) for word in process.stdout.split()])
    print("| | seconds a step | of them in the kernel, of all cores | peak memory, MiB |\n|---|--:|--:|--:|")
    for name, runs in measured.items():
        seconds, kernel, memory = sorted(runs)[TIMES // 2]
        print(f"| {name} | {seconds:.3f} | {kernel:.3f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
