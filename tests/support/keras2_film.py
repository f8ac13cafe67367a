"""FILM written a second time, in Keras 2, the way the official SavedModel was made: the oracle of `test_convert`.

It shares no code with the package or with `training/`. Run as `python keras2_film.py FILTERS DIRECTORY` it saves one
with random variables: a functional model with inputs x0, x1, time and a dict of outputs, of which `image` is one.
"""

import os
import sys

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import tensorflow as tf  # noqa: E402
import tf_keras as keras  # noqa: E402

LEVELS, SUB_LEVELS, FUSION_LEVELS = 7, 4, 5


def leaky(x):
    return tf.nn.leaky_relu(x, 0.2)


def pool(x):
    return tf.nn.avg_pool2d(x, 2, 2, "VALID")


def conv(filters, side, name=None, activation=leaky, spread=1.0):
    """With random variables that keep the spread of what they see (He), times `spread`.

    So the picture has the contrast of a picture, and flows are some pixels long, as a trained model's are.
    """
    variables = keras.initializers.VarianceScaling(spread**2 * (2.0 if activation else 1.0))
    return keras.layers.Conv2D(
        filters, side, padding="same", activation=activation, name=name, kernel_initializer=variables
    )


class SubExtractor(keras.layers.Layer):
    def __init__(self, filters):
        super().__init__(name="sub_extractor")
        self.convolutions = [conv(filters << (n // 2), 3, f"cfeat_conv_{n}") for n in range(2 * SUB_LEVELS)]

    def call(self, net, count):
        pyramid = []
        for j in range(count):
            net = pool(net) if j else net
            net = self.convolutions[2 * j + 1](self.convolutions[2 * j](net))
            pyramid.append(net)
        return pyramid


class FeatureExtractor(keras.layers.Layer):
    def __init__(self, filters):
        super().__init__(name="feat_net")
        self.extractor = SubExtractor(filters)

    def call(self, images):
        trees = [self.extractor(image, min(LEVELS - i, SUB_LEVELS)) for i, image in enumerate(images)]
        return [tf.concat([trees[i - j][j] for j in range(min(i + 1, SUB_LEVELS))], -1) for i in range(LEVELS)]


class FlowPredictor(keras.layers.Layer):
    def __init__(self, filters, name):
        super().__init__(name=name)
        self.convolutions = [conv(filters, 3, f"conv_{n}") for n in range(3)]
        self.convolutions += [conv(filters // 2, 1, "conv_3"), conv(2, 1, "conv_4", None, 0.15)]

    def call(self, a, b):
        net = tf.concat([a, b], -1)
        for convolution in self.convolutions:
            net = convolution(net)
        return net


class FlowEstimator(keras.layers.Layer):
    def __init__(self, filters):
        super().__init__(name="predict_flow")
        sizes = [max(2, full * filters // 64) for full in (32, 64, 128, 256)]
        self.fine = [FlowPredictor(sizes[i], f"flow_predictor_{i}") for i in range(3)]
        self.shared = FlowPredictor(sizes[3], "flow_predictor_shared")

    def call(self, a, b):
        flows = [self.shared(a[-1], b[-1])]
        for i in reversed(range(LEVELS - 1)):
            flow = tf.image.resize(2 * flows[0], tf.shape(a[i])[1:3])
            predictor = self.fine[i] if i < len(self.fine) else self.shared
            flows.insert(0, flow + predictor(a[i], warp(b[i], flow)))
        return flows


class Fusion(keras.layers.Layer):
    def __init__(self, filters):
        super().__init__(name="fusion")
        self.stages = []
        for i in range(FUSION_LEVELS - 1):
            width = filters << min(i, 3)
            self.stages.append([conv(width, 2, None, None), conv(width, 3), conv(width, 3)])
        self.to_rgb = conv(3, 1, None, None)

    def call(self, pyramid):
        net = pyramid[-1]
        for aligned, (widen, first, second) in reversed(list(zip(pyramid, self.stages, strict=False))):
            net = widen(tf.image.resize(net, tf.shape(aligned)[1:3], "nearest"))
            net = second(first(tf.concat([aligned, net], -1)))
        return self.to_rgb(net)


def warp(image, flow):
    """Bilinear gathering with the coordinates clamped to the image, corner by corner."""
    height, width = tf.shape(image)[1], tf.shape(image)[2]
    columns, rows = tf.meshgrid(tf.range(width), tf.range(height))
    x = tf.clip_by_value(tf.cast(columns, tf.float32) + flow[..., 0], 0.0, tf.cast(width - 1, tf.float32))
    y = tf.clip_by_value(tf.cast(rows, tf.float32) + flow[..., 1], 0.0, tf.cast(height - 1, tf.float32))
    left, top = tf.minimum(tf.cast(x, tf.int32), width - 2), tf.minimum(tf.cast(y, tf.int32), height - 2)
    right, down = (x - tf.cast(left, tf.float32))[..., None], (y - tf.cast(top, tf.float32))[..., None]

    def corner(dy, dx):
        return tf.gather_nd(image, tf.stack([top + dy, left + dx], -1), batch_dims=1)

    upper = corner(0, 0) * (1 - right) + corner(0, 1) * right
    lower = corner(1, 0) * (1 - right) + corner(1, 1) * right
    return upper * (1 - down) + lower * down


def build(filters):
    x0, x1 = keras.Input((None, None, 3), name="x0"), keras.Input((None, None, 3), name="x1")
    time = keras.Input((1,), name="time")
    pyramids = []
    for image in (x0, x1):
        pyramids.append([image])
        for _ in range(LEVELS - 1):
            pyramids[-1].append(pool(pyramids[-1][-1]))
    extract, estimate = FeatureExtractor(filters), FlowEstimator(filters)
    features = [extract(pyramid) for pyramid in pyramids]
    forward, backward = estimate(*features), estimate(*features[::-1])
    aligned = []
    for i in range(FUSION_LEVELS):
        flows = (0.5 * backward[i], 0.5 * forward[i])
        both = [tf.concat([pyramids[n][i], features[n][i]], -1) for n in range(2)]
        aligned.append(tf.concat([warp(both[0], flows[0]), warp(both[1], flows[1]), *flows], -1))
    outputs = {"image": Fusion(filters)(aligned), "x0_warped": aligned[0][..., :3], "forward_flow": forward[0]}
    return keras.Model({"x0": x0, "x1": x1, "time": time}, outputs)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    build(int(sys.argv[1])).save(sys.argv[2], save_format="tf")
