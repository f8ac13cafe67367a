"""FILM, the frame-interpolation network of Reda et al., "FILM: Frame Interpolation for Large Motion" (ECCV 2022).

Four stages, one class each, in the order the data goes:

1. `FeatureExtractor`: the same small convolutional tree looks at every level of an image pyramid; what it sees of
   one size of detail is put together, so that features of a level mean the same at every level ("scale-agnostic").
2. `FlowEstimator`: where does each pixel of one image come from in the other? Coarse to fine, each level adding a
   residual to the doubled flow of the level below. The coarse levels share one predictor: large motion seen at
   a coarse level looks like small motion at a fine one, and there is more of the latter to learn from.
3. `warp`: both images and their features are fetched along half of the flow, to the middle of the motion.
4. `Fusion`: a U-Net's decoder over the aligned pyramids makes the picture.

Conventions: images are (batch, height, width, channels), RGB in [0, 1], gamma-encoded. Height and width are
multiples of 2 ** (levels - 1). A pyramid is a list, finest level first; H, W in the shape comments are the sides of
the level at hand. A flow is (dx, dy) in pixels of its own level. The two images go through the network as one
batch of 2B, first images before last images, so that both directions of flow come from one pass; `swap` exchanges
the halves.

Variable names are those of the published SavedModel, see `variables_by_name`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops


@dataclass(frozen=True)
class Config:
    """Sizes of the network. The defaults are those of the published FILM (34.4 million parameters)."""

    filters: int = 64  # k: filters of the finest features, doubled per level
    flow_filters: tuple[int, ...] = (32, 64, 128, 256)  # finest levels first; the last predictor is shared
    fusion_filters: tuple[int, ...] = (64, 128, 256, 512)  # finest levels first; the level below them is only read
    levels: int = 7  # of the image pyramid
    sub_levels: int = 4  # of the feature tree that looks at each level of the pyramid

    def __post_init__(self) -> None:
        """ValueError for what is no network."""
        if self.filters < 1:
            raise ValueError(f"filters is {self.filters}; it takes at least 1")
        # The shared predictor reads levels of equally many channels, which they have once the feature tree is complete.
        fewest, most = self.sub_levels, self.levels
        if not fewest <= len(self.flow_filters) <= most or min(self.flow_filters) < 2:
            raise ValueError(f"flow_filters is {self.flow_filters}; it takes {fewest} to {most} numbers of at least 2")
        most = self.levels - 1
        if not 1 <= len(self.fusion_filters) <= most or min(self.fusion_filters) < 1:
            raise ValueError(f"fusion_filters is {self.fusion_filters}; it takes 1 to {most} numbers of at least 1")

    @property
    def fusion_levels(self) -> int:
        return len(self.fusion_filters) + 1

    @classmethod
    def of(cls, variables: Mapping[str, np.ndarray], levels: int = 7) -> "Config":
        """Read the sizes from a network's variables. The number of pyramid levels leaves no trace in them."""

        def count(prefix: str) -> int:
            return sum(name.startswith(prefix) and name.endswith("/bias") for name in variables)

        predictors = [f"predict_flow/flow_predictor_{i}" for i in range(count("predict_flow/") // 5 - 1)]
        predictors.append("predict_flow/flow_predictor_shared")
        return cls(
            filters=variables["feat_net/sub_extractor/cfeat_conv_0/bias"].size,
            flow_filters=tuple(variables[f"{name}/conv_0/bias"].size for name in predictors),
            fusion_filters=tuple(
                variables[f"fusion/conv2d{f'_{3 * i}' if i else ''}/bias"].size for i in range(count("fusion/") // 3)
            ),
            levels=levels,
            sub_levels=count("feat_net/") // 2,
        )


def conv(filters: int, size: int, name: str, activation: str | None = "leaky_relu") -> layers.Layer:
    """A "same" convolution; "leaky_relu" is Keras' own, whose negative slope is FILM's 0.2."""
    return layers.Conv2D(filters, size, padding="same", activation=activation, name=name)


def half(x):
    """2x2 average pool: (B, H, W, C) -> (B, H/2, W/2, C)."""
    return ops.average_pool(x, 2, 2, padding="valid")


def double(x):
    """Bilinear enlargement, (B, H, W, C) -> (B, 2H, 2W, C), half-pixel centres: a new pixel is 3/4 the old one that
    holds it and 1/4 that one's neighbour on its side. (`ops.image.resize` takes no sides that are unknown yet.)"""
    for axis in (1, 2):
        shape = list(ops.shape(x))
        index = ops.arange(shape[axis], dtype="int32")
        before = ops.take(x, ops.maximum(index - 1, 0), axis=axis)
        after = ops.take(x, ops.minimum(index + 1, shape[axis] - 1), axis=axis)
        shape[axis] *= 2
        x = ops.reshape(ops.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis=axis + 1), shape)
    return x


def swap(x):
    """Exchange the halves of a batch that holds first images before last images."""
    first, last = ops.split(x, 2, axis=0)
    return ops.concatenate([last, first], axis=0)


def warp(x, flow):
    """Fetch `x` along `flow`: result[y, x'] = x[y + dy, x' + dx], bilinear, clamped at the border."""
    batch, height, width, channels = ops.shape(x)
    at_x = ops.arange(width, dtype="float32") + flow[..., 0]  # (B, H, W)
    at_y = ops.arange(height, dtype="float32")[:, None] + flow[..., 1]
    at_x = ops.clip(at_x, 0.0, ops.cast(width - 1, "float32"))
    at_y = ops.clip(at_y, 0.0, ops.cast(height - 1, "float32"))
    left, top = ops.floor(at_x), ops.floor(at_y)
    along_x, along_y = (at_x - left)[..., None], (at_y - top)[..., None]  # (B, H, W, 1), in [0, 1)
    left, top = ops.cast(left, "int32"), ops.cast(top, "int32")
    right, bottom = ops.minimum(left + 1, width - 1), ops.minimum(top + 1, height - 1)

    pixels = ops.reshape(x, (-1, channels))  # (B*H*W, C)
    start = ops.arange(batch, dtype="int32")[:, None, None] * (height * width)

    def fetch(row, column):
        return ops.take(pixels, start + row * width + column, axis=0)  # (B, H, W, C)

    upper = fetch(top, left) * (1 - along_x) + fetch(top, right) * along_x
    lower = fetch(bottom, left) * (1 - along_x) + fetch(bottom, right) * along_x
    return upper * (1 - along_y) + lower * along_y


class SubExtractor(layers.Layer):
    """The feature tree under one image level: `depth` sub-levels, each two convolutions, halved in between."""

    def __init__(self, config: Config, **kwargs):
        super().__init__(**kwargs)
        self.convs = [conv(config.filters << n // 2, 3, f"cfeat_conv_{n}") for n in range(2 * config.sub_levels)]

    def call(self, image, depth: int):
        tree, x = [], image
        for j in range(depth):
            x = x if j == 0 else half(x)
            x = self.convs[2 * j + 1](self.convs[2 * j](x))  # (B, H / 2**j, W / 2**j, k << j)
            tree.append(x)
        return tree


class FeatureExtractor(layers.Layer):
    """Image pyramid -> feature pyramid of k, 3k, 7k, 15k, 15k, ... channels (with 4 sub-levels)."""

    def __init__(self, config: Config, **kwargs):
        super().__init__(**kwargs)
        self.config = config
        self.sub_extractor = SubExtractor(config, name="sub_extractor")

    def call(self, images):
        levels, sub_levels = self.config.levels, self.config.sub_levels
        trees = [self.sub_extractor(images[i], depth=min(levels - i, sub_levels)) for i in range(levels)]
        return [
            # Tree i - j has reached the size of level i after j halvings.
            ops.concatenate([trees[i - j][j] for j in range(min(i + 1, sub_levels))], axis=-1)
            for i in range(levels)
        ]


class FlowPredictor(layers.Layer):
    """Residual flow of one level from the features of one image and the features of the other, brought near."""

    def __init__(self, filters: int, **kwargs):
        super().__init__(**kwargs)
        self.convs = [conv(filters, 3, f"conv_{n}") for n in range(3)]
        self.convs += [conv(filters // 2, 1, "conv_3"), conv(2, 1, "conv_4", activation=None)]

    def call(self, here, there):
        x = ops.concatenate([here, there], axis=-1)
        for layer in self.convs:
            x = layer(x)
        return x  # (B, H, W, 2)


class FlowEstimator(layers.Layer):
    """Feature pyramids of a and b -> pyramid of flows with a[y, x'] ~ b[y + dy, x' + dx]."""

    def __init__(self, config: Config, **kwargs):
        super().__init__(**kwargs)
        *fine, shared = config.flow_filters
        self.predictors = [FlowPredictor(filters, name=f"flow_predictor_{i}") for i, filters in enumerate(fine)]
        self.predictors += [FlowPredictor(shared, name="flow_predictor_shared")] * (config.levels - len(fine))

    def call(self, a, b):
        flow = self.predictors[-1](a[-1], b[-1])
        flows = [flow]
        for i in reversed(range(len(a) - 1)):
            flow = double(2 * flow)  # (B, H, W, 2) from (B, H/2, W/2, 2)
            flow = flow + self.predictors[i](a[i], warp(b[i], flow))
            flows.insert(0, flow)
        return flows


class Fusion(layers.Layer):
    """Aligned pyramids of both images -> the picture, coarse to fine."""

    def __init__(self, config: Config, **kwargs):
        super().__init__(**kwargs)
        self.levels = []
        for i, filters in enumerate(config.fusion_filters):
            names = [f"conv2d_{n}" if n else "conv2d" for n in range(3 * i, 3 * i + 3)]
            self.levels.append(
                [
                    conv(filters, 2, names[0], activation=None),
                    conv(filters, 3, names[1]),
                    conv(filters, 3, names[2]),
                ]
            )
        self.to_rgb = conv(3, 1, f"conv2d_{3 * len(self.levels)}", activation=None)

    def call(self, aligned):
        x = aligned[-1]
        for i in reversed(range(len(self.levels))):
            enlarge, merge, refine = self.levels[i]
            x = ops.repeat(ops.repeat(x, 2, axis=1), 2, axis=2)  # nearest neighbour, (B, H/2, W/2, _) -> (B, H, W, _)
            x = enlarge(x)  # (B, H, W, F_i)
            x = refine(merge(ops.concatenate([aligned[i], x], axis=-1)))
        return self.to_rgb(x)  # (B, H, W, 3), not clipped


class Film(keras.Model):
    """`{"x0": (B, H, W, 3), "x1": (B, H, W, 3), "time": (B, 1)}` -> dict whose "image" is the middle frame.

    `time` is there for the published signature and ignored: the moment is always half way. The rest of the dict is
    for training: pyramids of both images brought to the middle, as fine and coarse as the fusion sees them, and the
    two pyramids of whole flows, first -> last ("forward") and last -> first ("backward").
    """

    def __init__(self, config: Config, **kwargs):
        super().__init__(name="film", **kwargs)
        self.config = config
        self.feat_net = FeatureExtractor(config, name="feat_net")
        self.predict_flow = FlowEstimator(config, name="predict_flow")
        self.fusion = Fusion(config, name="fusion")

    def call(self, inputs, fuse: bool = True):
        """Without `fuse` the picture is left out, and with it all that only it needs: to train the flow alone."""
        images = [ops.concatenate([inputs["x0"], inputs["x1"]], axis=0)]  # (2B, H, W, 3)
        for _ in range(self.config.levels - 1):
            images.append(half(images[-1]))
        features = self.feat_net(images)
        flows = self.predict_flow(features, [swap(f) for f in features])  # forward, then backward: (2B, H, W, 2)

        aligned, warped = [], []
        for i in range(self.config.fusion_levels):
            # An object at p in the first image and at p + v in the last is at p + v/2 in the middle; the middle
            # fetches from the first image along half of the flow that leads there: the backward one.
            to_ends = 0.5 * swap(flows[i])
            seen = ops.concatenate([images[i], features[i]], axis=-1) if fuse else images[i]
            first, last = ops.split(warp(seen, to_ends), 2, axis=0)
            backward, forward = ops.split(to_ends, 2, axis=0)
            aligned.append(ops.concatenate([first, last, backward, forward], axis=-1))  # (B, H, W, 2(3+C)+4)
            warped.append((first[..., :3], last[..., :3]))
        directions = [ops.split(flow, 2, axis=0) for flow in flows]
        outputs = {
            "x0_warped_pyramid": [first for first, _ in warped],
            "x1_warped_pyramid": [last for _, last in warped],
            "forward_flow_pyramid": [forward for forward, _ in directions],
            "backward_flow_pyramid": [backward for _, backward in directions],
        }
        return outputs | {"image": self.fusion(aligned)} if fuse else outputs


def build(config: Config, seed: int = 0, kind: Callable[[Config], Film] = Film) -> Film:
    """A network with all its variables made, randomly initialised from `seed`."""
    keras.utils.set_random_seed(seed)
    film = kind(config)
    side = 2 ** (config.levels - 1)
    image = ops.zeros((1, side, side, 3))
    film({"x0": image, "x1": image, "time": ops.zeros((1, 1))})
    return film


def variables_by_name(film: Film) -> dict[str, keras.Variable]:
    """The variables under the published names, e.g. "feat_net/sub_extractor/cfeat_conv_0/kernel"."""
    return {variable.path.removeprefix("film/"): variable for variable in film.variables}


def assign(film: Film, values: Mapping[str, np.ndarray]) -> None:
    """Set every variable. Raises ValueError where names or shapes are not this network's."""
    variables = variables_by_name(film)
    if variables.keys() != values.keys():
        wrong = sorted(variables.keys() ^ values.keys())
        raise ValueError(f"these variables are only in the network or only in the file: {', '.join(wrong)}")
    for name, variable in variables.items():
        if tuple(variable.shape) != values[name].shape:
            raise ValueError(f"{name} is {tuple(variable.shape)} in the network, {values[name].shape} in the file")
        variable.assign(values[name])
