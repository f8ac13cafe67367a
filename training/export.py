"""Export trained weights as the bundled model.

    python -m training.export --weights runs/large/weights.npz --output film/models/film-lite

The directory holds a SavedModel with the signature of Google's FILM, x0 and x1 (B, H, W, 3) float32 RGB in [0, 1] and
time (B, 1) -> image (B, H, W, 3), so that TensorFlow and OpenVINO's converter run it; and the same variables as
variables.npz, which the engine reads without TensorFlow. Sides are multiples of 64, as FILM's.

`TensorFlowNetwork` is `training/network.py` in TensorFlow, channels last; a test compares them.
"""

import argparse
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from training.network import DECISION, DIFFERENT, FLOW_SCALE, NEIGHBOURS, OFFSETS, OWN, RADIUS, SHARPNESS, visits

LEVELS = 5  # 1/4 to 1/64
FILES = ("saved_model.pb", "fingerprint.pb", "variables", "variables.npz")  # what an export replaces


def activate(x):
    return tf.nn.leaky_relu(x, 0.2)


def double(x):
    """Bilinear enlargement, half-pixel centres: (B, H, W, C) -> (B, 2H, 2W, C)."""
    return tf.image.resize(x, 2 * tf.shape(x)[1:3])


def fetched(x, flow, taps, weights):
    """Fetch `x` (B, H, W, C) along `flow` (B, H, W, 2), clamped at the border: a sum of `taps`, whole pixels from the
    one at or before a place, with `weights` of how far behind that the place lies."""
    height, width = tf.shape(x)[1], tf.shape(x)[2]

    def along(index, flow, size):
        at = tf.clip_by_value(tf.cast(index, tf.float32) + flow, 0.0, tf.cast(size - 1, tf.float32))
        start = tf.floor(at)
        places = [tf.clip_by_value(tf.cast(start, tf.int32) + tap, 0, size - 1) for tap in taps]
        return places, [weight[..., None] for weight in weights(at - start)]

    columns, across = along(tf.range(width)[None, None, :], flow[..., 0], width)
    rows, down = along(tf.range(height)[None, :, None], flow[..., 1], height)
    return tf.add_n(
        tf.add_n(
            tf.gather_nd(x, tf.stack([row, column], -1), batch_dims=1) * weight
            for column, weight in zip(columns, across, strict=True)
        )
        * weight
        for row, weight in zip(rows, down, strict=True)
    )


def warp(x, flow):
    """`training.network.warp`, bilinear."""
    return fetched(x, flow, (0, 1), lambda t: (1 - t, t))


def warp_bicubic(x, flow):
    """`training.network.warp`, bicubic (Keys 1981, a = -0.75)."""
    a = -0.75

    def near(t):
        return ((a + 2) * t - (a + 3)) * t * t + 1

    def far(t):
        return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a

    return fetched(x, flow, (-1, 0, 1, 2), lambda t: (far(t + 1), near(t), near(1 - t), far(2 - t)))


def moving(first, last):
    """`training.network.moving`."""
    different = tf.nn.avg_pool2d(tf.reduce_sum(tf.square(first - last), -1, keepdims=True), 4, 4, "VALID")
    different = tf.nn.avg_pool2d(tf.pad(different, [[0, 0], [4, 4], [4, 4], [0, 0]]), 9, 1, "VALID")
    return double(tf.minimum(DIFFERENT * different, 1.0))


def unit(x):
    """Features freed of their mean and scaled to unit length at each pixel."""
    x = x - tf.reduce_mean(x, -1, keepdims=True)
    return x * tf.math.rsqrt(tf.reduce_sum(tf.square(x), -1, keepdims=True) + 1e-4)


FEATURES = tf.TensorSpec([None, None, None, None])


@tf.function(input_signature=[FEATURES, FEATURES, tf.TensorSpec([None])])  # written to the file once, not per level
def proposal(first, last, time):
    """`training.network.proposal`, each picture of the batch at its own time (B,)."""
    reach = 2 * RADIUS
    height, width = tf.shape(first)[1], tf.shape(first)[2]
    margins = [[0, 0], [reach, reach], [reach, reach], [0, 0]]
    last = tf.pad(last, margins)
    costs = []
    for dy, dx in OFFSETS:
        top, left = reach + 2 * dy, reach + 2 * dx
        costs.append(tf.reduce_sum(first * last[:, top : top + height, left : left + width], -1, keepdims=True))
    costs = tf.transpose(tf.pad(tf.concat(costs, -1), margins), [0, 3, 1, 2])  # (B, 49, H + 2 reach, W + 2 reach)
    shift = tf.cast(
        tf.floor(2.0 * time[:, None, None] * tf.constant(OFFSETS, tf.float32) + 0.5), tf.int32
    )  # (B, 49, 2)
    shift = reach - shift[:, :, None, None]
    rows = tf.range(height)[:, None] + shift[..., 0] + tf.zeros([width], tf.int32)  # (B, 49, H, W)
    columns = tf.range(width)[None] + shift[..., 1] + tf.zeros([height, 1], tf.int32)
    costs = tf.gather_nd(costs, tf.stack([rows, columns], -1), batch_dims=2)  # moved to the grid of the frame
    costs = tf.pad(tf.transpose(costs, [0, 2, 3, 1]), [[0, 0], [1, 1], [1, 1], [0, 0]])
    costs = tf.nn.avg_pool2d(costs, 3, 1, "VALID")
    weights = tf.nn.softmax(SHARPNESS * costs)
    offsets = tf.constant([(dx, dy) for dy, dx in OFFSETS], tf.float32)
    return costs, tf.einsum("bhwn,nc->bhwc", weights, offsets)


def nearest(x, flow):
    """`training.network.fetched`: the pixels of `x` nearest to where `flow` (B, H, W, 2) leads."""
    size = tf.shape(x)[1:3]
    columns, rows = tf.range(size[1])[None, None, :], tf.range(size[0])[None, :, None]
    places = [
        tf.clip_by_value(tf.cast(index, tf.float32) + flow[..., n], 0.0, tf.cast(last - 1, tf.float32))
        for n, index, last in ((1, rows, size[0]), (0, columns, size[1]))
    ]
    return tf.gather_nd(x, tf.cast(tf.stack(places, -1) + 0.5, tf.int32), batch_dims=1)


def chosen(first, last, flow, distance, neighbours):
    """`training.network.chosen`."""
    height, width = tf.shape(flow)[1], tf.shape(flow)[2]

    def moved(row, column):
        rows = tf.clip_by_value(tf.range(height) + row * distance, 0, height - 1)
        columns = tf.clip_by_value(tf.range(width) + column * distance, 0, width - 1)
        return tf.gather(tf.gather(flow, rows, axis=1), columns, axis=2)

    flows = [moved(row, column) for row, column in neighbours]
    matches = [tf.reduce_sum(nearest(first, one[..., :2]) * nearest(last, one[..., 2:]), -1) for one in flows]
    matches = [match + OWN * (step == (0, 0)) for match, step in zip(matches, neighbours, strict=True)]
    matches = tf.pad(tf.stack(matches, -1), [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")  # by one: its edges again
    weights = tf.nn.softmax(DECISION * tf.nn.avg_pool2d(matches, 3, 1, "VALID"))
    return tf.add_n([weights[..., n : n + 1] * one for n, one in enumerate(flows)])


class TensorFlowNetwork(tf.__internal__.tracking.AutoTrackable):
    """The compact network; `weights` are those of the PyTorch one, by name, OIHW."""

    def __init__(self, weights: Mapping[str, np.ndarray]):
        self.weights = {
            name.replace(".", "/"): tf.Variable(
                value.transpose(2, 3, 1, 0) if value.ndim == 4 else value, name=name.replace(".", "/"), trainable=False
            )
            for name, value in weights.items()
        }

    def conv(self, x, name: str, stride: int = 1):
        kernel = self.weights[f"{name}/weight"]
        pad = [kernel.shape[0] // 2] * 2
        return tf.nn.conv2d(x, kernel, stride, [[0, 0], pad, pad, [0, 0]]) + self.weights[f"{name}/bias"]

    def residual(self, x, name: str):
        return activate(x + self.conv(activate(self.conv(x, f"{name}/first")), f"{name}/second"))

    def extract(self, image):
        x = activate(self.conv(image - 0.5, "extractor/half_0", 2))
        x = half = activate(self.conv(x, "extractor/half_1"))
        pyramid = []
        for n in range(LEVELS):
            name = "coarse" if n else "quarter"
            x = activate(self.conv(x, f"extractor/{name}_0", 2))
            x = activate(self.conv(x, f"extractor/{name}_1"))
            pyramid.append(x)
        return half, pyramid

    def compared(self, features):
        return unit(self.conv(features, "extractor/matching"))

    def __call__(self, x0, x1, time):
        """(B, H, W, 3), (B, H, W, 3), (B, 1) -> (B, H, W, 3)."""
        time = time[:, 0]
        at = time[:, None, None, None]
        (half_first, first), (half_last, last) = self.extract(x0), self.extract(x1)
        flow = context = None
        for n, visit in visits(LEVELS):
            one, two = first[n], last[n]
            if flow is None:
                shape = tf.shape(one)[:3]
                flow = tf.zeros(tf.concat([shape, [4]], 0))
                channels = self.weights["update/leave/bias"].shape[0] - 4
                context = tf.zeros(tf.concat([shape, [channels]], 0))
            else:
                if visit == 0:
                    flow, context = double(2.0 * flow), double(context)
                one, two = warp(one, flow[..., :2]), warp(two, flow[..., 2:])
            costs, motion = proposal(self.compared(one), self.compared(two), time)
            plane = tf.zeros_like(flow[..., :1]) + at
            x = tf.concat([one, two, costs, flow * FLOW_SCALE, motion, context, plane], -1)
            name = "coarse_update" if n else "update"
            x = activate(self.conv(x, f"{name}/enter"))
            block = 0
            while f"{name}/blocks/{block}/first/weight" in self.weights:
                x = self.residual(x, f"{name}/blocks/{block}")
                block += 1
            x = self.conv(x, f"{name}/leave")
            flow = flow + tf.concat([-2 * at * motion, 2 * (1 - at) * motion], -1) + x[..., :4]
            context = activate(x[..., 4:])
            if n in NEIGHBOURS:
                ends = self.compared(first[n]), self.compared(last[n])
                for distance, neighbours in NEIGHBOURS[n]:
                    flow = chosen(*ends, flow, distance, neighbours)
        flow = double(2.0 * flow)
        near = [warp(half_first, flow[..., :2]), warp(half_last, flow[..., 2:])]
        plane = tf.zeros_like(flow[..., :1]) + at
        x = self.conv(tf.concat([*near, flow * FLOW_SCALE, plane], -1), "head/enter")
        x = activate(x + double(self.conv(context, "head/context")))
        gate = moving(x0, x1)
        x = self.conv(self.residual(x, "head/block"), "head/leave") * gate
        # PyTorch's pixel_shuffle has the channel outside of the block, TensorFlow's depth_to_space inside.
        order = [channel * 4 + place for place in range(4) for channel in range(5)]
        x = tf.nn.depth_to_space(tf.gather(x, order, axis=-1), 2)
        flow = double(2.0 * flow * gate) + x[..., :4]
        mask = tf.sigmoid(x[..., 4:])
        return mask * warp_bicubic(x0, flow[..., :2]) + (1 - mask) * warp_bicubic(x1, flow[..., 2:])


class Saved(tf.__internal__.tracking.AutoTrackable):
    """What `tf.saved_model.load` gives back: as of Google's FILM, `model(inputs, training=False)["image"]` and
    `variables`."""

    def __init__(self, weights: Mapping[str, np.ndarray]):
        self._network = TensorFlowNetwork(weights)
        self.variables = list(self._network.weights.values())

    @tf.function
    def __call__(self, inputs, training=False):
        return {"image": self._network(inputs["x0"], inputs["x1"], inputs["time"])}

    @tf.function
    def serve(self, x0, x1, time):
        return self({"x0": x0, "x1": x1, "time": time})


def export(weights: Mapping[str, np.ndarray], directory: Path) -> None:
    """Write the SavedModel and variables.npz; a model card in that directory stays."""
    model = Saved(weights)
    image = (None, None, None, 3)
    shapes = {"x0": image, "x1": image, "time": (None, 1)}
    specs = {name: tf.TensorSpec(shape, tf.float32, name=name) for name, shape in shapes.items()}
    model.__call__.get_concrete_function(specs, training=False)
    signatures = {"serving_default": model.serve.get_concrete_function(**specs)}
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent) as folder:
        made = Path(folder) / "model"
        options = tf.saved_model.SaveOptions(save_debug_info=False)
        tf.saved_model.save(model, str(made), signatures=signatures, options=options)
        np.savez_compressed(made / "variables.npz", **weights)
        shutil.rmtree(made / "assets", ignore_errors=True)
        for name in FILES:
            old, new = directory / name, made / name
            if old.is_dir():
                shutil.rmtree(old)
            old.unlink(missing_ok=True)
            if new.exists():
                new.rename(old)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, metavar="NPZ")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    with np.load(options.weights) as file:
        export({name: file[name].astype(np.float32) for name in file.files}, options.output)


if __name__ == "__main__":
    main()
