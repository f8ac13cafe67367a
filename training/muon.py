"""Muon (Jordan et al. 2024) for convolutions: the momentum of a kernel, seen as a matrix from all it reads to its
filters, is made orthogonal before it is applied, so that no direction is learnt much faster than the others.

Keras' own `Muon` does this to dense layers alone and leaves convolutions to Adam. Its scale is kept (Liu et al. 2025):
an update is as large as Adam's at the same rate. Biases go to Adam, and so do kernels with too few filters for
directions to matter: the colours' and the flows'.
"""

import keras
from keras import ops

FEWEST = 4  # filters of a kernel for Muon


class Muon(keras.optimizers.Muon):
    """`keras.optimizers.Muon` for kernels of shape (height, width, inputs, filters)."""

    def _should_use_adamw(self, variable) -> bool:
        return len(variable.shape) != 4 or variable.shape[-1] < FEWEST

    def lr_adjust(self, x):
        filters = x.shape[-1]
        inputs = x.shape[0] * x.shape[1] * x.shape[2]
        return x * (max(inputs, filters) ** 0.5 * self.rms_rate)

    def zeropower_via_newtonschulz5(self, x, steps: int):
        matrix = ops.reshape(x, (-1, x.shape[-1]))
        return ops.reshape(super().zeropower_via_newtonschulz5(matrix, steps), x.shape)
