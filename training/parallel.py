"""Several processes that train one network, each on its part of every batch: over PyTorch's `distributed`.

On a CPU a process per core does more than one process with as many threads: what is not a convolution, the data among
it, runs side by side as well. All start from the same variables and apply the same mean gradient, so they stay alike.
"""

import os
import socket
import subprocess
import sys

# What the first process tells the others. Not torch.distributed's RANK and WORLD_SIZE: those are also left behind by
# others' launchers, and must not make this the second process of a training that was not started.
RANK, PROCESSES, PORT = "FILM_TRAINING_RANK", "FILM_TRAINING_PROCESSES", "FILM_TRAINING_PORT"


def rank() -> int:
    """Which of the processes this is; the first one validates, saves and speaks."""
    return int(os.environ.get(RANK, 0))


def processes() -> int:
    """How many train together."""
    return int(os.environ.get(PROCESSES, 1))


def join(count: int) -> None:
    """Become one of `count` processes that run this very command; the first call starts the others."""
    import torch

    if RANK not in os.environ:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            os.environ |= {PROCESSES: str(count), PORT: str(free.getsockname()[1])}
        for number in range(1, count):  # they end by themselves when the first one does: the next mean fails
            subprocess.Popen([sys.executable, "-m", *module()], env=os.environ | {RANK: str(number)})
        os.environ[RANK] = "0"
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // count))
    address = f"tcp://127.0.0.1:{os.environ[PORT]}"
    torch.distributed.init_process_group("gloo", init_method=address, rank=rank(), world_size=count)


def module() -> list[str]:
    """The arguments with which `python -m` started this process."""
    spec = sys.modules["__main__"].__spec__
    assert spec, "start it with python -m"
    return [spec.name, *sys.argv[1:]]


def mean(gradients: list) -> list:
    """The mean of all processes' gradients, float32 tensors of the variables' shapes; with one process they themselves.
    Raises RuntimeError, in PyTorch's words, when another process has gone."""
    if processes() == 1:
        return gradients
    import torch

    flat = torch.cat([gradient.flatten() for gradient in gradients])
    torch.distributed.all_reduce(flat)
    parts = (flat / processes()).split([gradient.numel() for gradient in gradients])
    return [part.reshape(gradient.shape) for part, gradient in zip(parts, gradients, strict=True)]


class Shared:
    """Mixed into a Keras optimizer: what it applies is the mean over the processes."""

    def apply(self, grads, trainable_variables=None):
        return super().apply(mean(grads), trainable_variables)  # type: ignore[misc]
