"""Low sun through grass, daisies and poppies that sway; a butterfly flies by."""

import math

import numpy as np
from studio import ball, camera, group, lamp, lathe, leaves, material, plain, sheet, sky, tubes


def meadow(t):
    rng = np.random.default_rng(11)
    camera((0, -1.5, 0.44), (0, 0, 0.415), 52, focus=1.5, stop=1.8)
    sky(14, 28, 0.11, dust=2.0)
    lamp("SUN", (2.4, 5, 1.9), (0, 0, 0), 5.0, "#ffcf8a", 1.0)
    lamp("AREA", (-2, -4, 2.5), (0, 0, 0.3), 60, "#dfeaff", 3)
    plain(30, -4, 60, material("#2c3a12", "#4d5f22", scale=3, Roughness=1.0))
    for _ in range(40):
        x, y, size = rng.uniform(-26, 26), rng.uniform(30, 44), rng.uniform(1.5, 3.2)
        centres = rng.normal(size=(900, 3)) * (0.4 * size, 0.4 * size, 0.3 * size) + (x, y, size * 0.7)
        leaves(centres, 0.3, rng, material("#34491f", "#587833", scale=1, leaf=0.5, Roughness=0.8))

    def sway(x, y, height):
        """How far the wind has bent what is this high, here: a slow field of gusts, and linear in t."""
        gust = 0.6 + 0.4 * np.sin(1.7 * x + 0.9 * y) + 0.25 * np.sin(4.1 * x - 2.3 * y)
        bent = np.stack([(0.11 * (t - 0.5) + 0.05) * gust, 0.04 * gust, -0.04 * gust], axis=-1)
        return bent * (height**1.6)[..., None]

    for count, near, far, wide, tall in (
        (2600, -1.1, 1.6, 1.0, 0.30),
        (5000, 1.6, 7, 3.2, 0.34),
        (5000, 7, 22, 9, 0.42),
    ):
        y = rng.uniform(near, far, count)
        x = rng.uniform(-wide, wide, count)
        height = tall * rng.uniform(0.45, 1.2, count)
        lean, heading = rng.uniform(0.05, 0.5, count) * height, rng.uniform(0, 2 * np.pi, count)
        up = np.linspace(0, 1, 6)
        middle = np.stack(
            [
                x[:, None] + (lean * np.cos(heading))[:, None] * up**2,
                y[:, None] + (lean * np.sin(heading))[:, None] * up**2,
                height[:, None] * up * (1 - 0.15 * up),
            ],
            axis=-1,
        )
        middle += sway(x[:, None], y[:, None], height[:, None] * up / 0.3 * 0.6)
        half = 0.0028 * (1 + 0.25 * (near + 1)) * (1 - up**2)[None, :, None]
        across = np.stack([np.sin(heading), -np.cos(heading), 0 * heading], axis=-1)[:, None]
        blade = np.stack([middle - half * across, middle + half * across], axis=2)
        sheet(blade, material("#3c5a16", "#6f8f2c", "#a9b552", scale=2.5, leaf=0.45, Roughness=0.45))

    stalk = material("#4c6b22", "#6a8a34", Roughness=0.5, leaf=0.2)
    white = material((0.0, "#e9e2c8"), (0.35, "#fbfaf4"), (1.0, "#ffffff"), texture="along", leaf=0.4, Roughness=0.6)
    crimson = material(
        (0.0, "#2a0808"),
        (0.22, "#b8140c"),
        (0.7, "#e02a12"),
        (1.0, "#f0502a"),
        texture="along",
        leaf=0.5,
        Roughness=0.55,
    )
    violet = material((0.0, "#3a3f9a"), (1.0, "#6c7bea"), texture="along", leaf=0.4, Roughness=0.6)
    gold = material("#c9850f", "#f2c028", scale=90, texture="TexVoronoi", bump=0.004, grain=300, Roughness=0.8)
    dark = material("#15110d", "#2c2a18", scale=60, Roughness=0.8)

    def petals(count, length, width, rise, curl, look, head):
        """A whorl of petals: `rise` lifts them at the root, `curl` bends their tips back."""
        along, aside = np.meshgrid(np.linspace(0.06, 1, 8), np.linspace(-1, 1, 7), indexing="ij")
        whole = []
        for angle in np.arange(count) * 2 * np.pi / count + rng.uniform(-0.08, 0.08, count):
            size = length * rng.uniform(0.9, 1.05)
            shape = np.sin(np.pi * np.clip(along, 0, 1) ** 0.7 * 0.86 + 0.25) ** 0.7
            out, side = size * along, width * shape * aside
            rising = rise * rng.uniform(0.8, 1.2)
            height = rising * out - curl * out**2 / length + 0.25 * width * aside**2 * shape
            height += 0.06 * width * np.sin(9 * aside + angle) * along
            c, s = np.cos(angle), np.sin(angle)
            whole.append(np.stack([out * c - side * s, out * s + side * c, height + rng.uniform(0, 0.002)], axis=-1))
        sheet(np.array(whole), look, parent=head)

    def flower(kind, x, y, height, toward):
        up = np.linspace(0, 1, 9)
        line = np.stack([x + 0.02 * np.sin(3 * up + x * 9), y + 0 * up, height * up], axis=-1)
        line += sway(np.full(9, x), np.full(9, y), height * up / 0.3 * 0.6)
        tubes([line], 0.0022 if kind != "poppy" else 0.0018, stalk)
        tilt = 2.0 * (line[-1, 0] - line[-2, 0])
        head = group(line[-1], (toward, tilt, rng.uniform(-0.4, 0.4)))
        if kind == "daisy":
            petals(19, 0.042, 0.0048, 0.15, 0.25, white, head)
            ball(0.0125, gold, 0.55, parent=head, at=(0, 0, 0.002))
        elif kind == "poppy":
            petals(3, 0.046, 0.036, 1.9, 0.9, crimson, head)
            petals(2, 0.045, 0.038, 1.4, 0.6, crimson, head)
            ball(0.008, dark, 1.1, parent=head, at=(0, 0, 0.01))
        else:
            petals(11, 0.024, 0.006, 0.7, 0.2, violet, head)
            petals(7, 0.015, 0.004, 1.4, 0.2, violet, head)
            ball(0.007, stalk, 1.5, parent=head, at=(0, 0, -0.006))

    for kind, x, y, height, toward in (
        ("daisy", -0.30, 0.02, 0.43, 0.75),
        ("daisy", -0.16, 0.25, 0.36, 0.6),
        ("daisy", 0.16, 0.05, 0.37, 0.8),
        ("poppy", 0.34, 0.1, 0.50, 0.25),
        ("poppy", -0.42, 0.5, 0.48, 0.3),
        ("poppy", 0.10, 0.55, 0.45, 0.3),
        ("corn", -0.06, -0.05, 0.30, 0.4),
        ("corn", 0.46, -0.1, 0.36, 0.4),
        ("corn", -0.46, -0.1, 0.33, 0.4),
        ("daisy", 0.27, -0.28, 0.29, 0.7),
    ):
        flower(kind, x, y, height, toward)
    for _ in range(150):
        y = rng.uniform(0.8, 9)
        kind, x = (
            rng.choice(["daisy", "poppy", "corn"], p=[0.45, 0.4, 0.15]),
            rng.uniform(-0.6, 0.6) * (y + 1.4),
        )
        flower(kind, x, y, rng.uniform(0.28, 0.5), 0.5)

    # Wings as rows from the root to the rim, so that the pattern runs along them.
    body = group((-0.10 + 0.085 * (t - 0.5), -0.02, 0.515 + 0.03 * (t - 0.5)), (0.7, -0.25, 0.6))
    body.scale = (1.5, 1.5, 1.5)
    wing = material(
        (0, "#3a1804"),
        (0.15, "#c25206"),
        (0.68, "#d8720a"),
        (0.8, "#1a120c"),
        (0.88, "#1a120c"),
        (0.91, "#f4efe2"),
        (0.95, "#1a120c"),
        texture="along",
        leaf=0.5,
        Roughness=0.5,
    )
    reach = np.linspace(0, 1, 18)[:, None]
    # The rims of a fore and a hind wing: x, then y.
    fore = (0, 0.02, 0.040, 0.052, 0.050, 0.042, 0.02, 0), (0.006, 0.034, 0.046, 0.044, 0.03, 0.014, 0.002, 0)
    hind = (
        (0, 0.02, 0.036, 0.040, 0.032, 0.018, 0.006, 0),
        (0, 0.004, 0.002, -0.012, -0.028, -0.032, -0.02, -0.004),
    )
    for side in (-1, 1):
        hinge = group(turn=(0, -side * (0.75 - 0.5 * (t - 0.5)), 0), parent=body)
        for rim in (fore, hind):
            x, y = (reach * np.interp(np.linspace(0, 7, 40), np.arange(8), k) for k in rim)
            sheet(np.stack([side * x, y, 0.002 * np.sin(3 * reach) + 0 * x], axis=-1), wing, parent=hinge)
    trunk = [(0, -0.026), (0.002, -0.02), (0.003, -0.004), (0.0035, 0.006), (0.0025, 0.013), (0, 0.018)]
    lathe(trunk, dark, around=16, parent=body, turn=(-math.pi / 2, 0, 0))
    feelers = [[(0, 0.016, 0), (s * 0.006, 0.028, 0.006), (s * 0.012, 0.037, 0.009)] for s in (-1, 1)]
    tubes(feelers, 0.0004, dark, parent=body)
