"""An orange rolls over a wet table in front of a bowl, a glass of water and grapes."""

import numpy as np
from studio import ball, box, camera, lamp, lathe, material, rounded, tubes


def fruit(t):
    rng = np.random.default_rng(4)
    camera((0, -6.6, 2.0), (-0.08, 0, 0.70), 60, focus=5.9, stop=1.1)
    lamp("AREA", (-5, -0.5, 4.2), (0, 0, 0.3), 1150, "#fff1dc", 2.2)
    lamp("AREA", (4.5, 2.5, 2.5), (0, 0, 0.5), 120, "#ffd2a0", 1.5)
    lamp("AREA", (2, -6, 5), (0, 0, 0.5), 60, "#cfe0ff", 4)
    table = material(
        "#1d1512",
        "#4a3020",
        "#6b4526",
        scale=0.9,
        stretch=(0.25, 2.4, 2.4),
        bump=0.006,
        grain=5,
        Roughness=0.12,
    )
    for i in range(9):
        box((14, 0.88, 0.2), table, (0, -3.2 + 0.9 * i, -0.1))
    wall = material("#23302d", "#3d4a44", "#59625a", scale=0.5, bump=0.02, grain=3, Roughness=0.9)
    box((30, 0.2, 14), wall, (0, 6.5, 4))

    peel = material(
        "#e8730c",
        "#f08a12",
        scale=2,
        bump=0.010,
        grain=34,
        Roughness=0.36,
        Subsurface_Weight=0.25,
        Subsurface_Scale=0.1,
    )
    skin = material(
        (0.30, "#c9a637"),
        (0.42, "#c23a22"),
        (0.55, "#a3161a"),
        (0.7, "#6f0d14"),
        scale=3,
        stretch=(1.6, 1.6, 0.25),
        bump=0.002,
        Roughness=0.2,
        Coat_Weight=0.5,
    )
    zest = material("#dba90f", "#ecc22a", scale=2, bump=0.009, grain=26, Roughness=0.36, Subsurface_Weight=0.2)
    stem, green = material("#4a3520", "#6d5a35", Roughness=0.8), material("#3f5a1e", "#6b8a2f", leaf=0.2)
    angle = np.linspace(0, np.pi, 40)

    def orange(at, turn, radius=0.4):
        dent = 0.035 * np.exp(-((np.minimum(angle, np.pi - angle) / 0.22) ** 2))
        profile = np.stack([radius * np.sin(angle), -radius * (0.95 - dent) * np.cos(angle)], axis=1)
        whole = lathe(profile, peel, at=at, turn=turn, wobble=0.004)
        button = [(0, 0.34), (0.05, 0.362), (0.045, 0.384), (0, 0.378)]
        lathe(button, green, around=7, wobble=0.12, parent=whole)

    def apple(at, turn, radius=0.42):
        wide = np.sin(angle) * (1 + 0.14 * np.cos(angle)) * (1 - 0.02 * np.sin(2 * angle))
        below, above = np.exp(-((angle / 0.35) ** 2)), np.exp(-(((np.pi - angle) / 0.4) ** 2))
        tall = -0.9 * np.cos(angle) + 0.30 * below - 0.42 * above
        whole = lathe(radius * np.stack([wide, tall], axis=1), skin, at=at, turn=turn, wobble=0.008)
        stalk = [(0, 0, 0.2), (0.01, 0, 0.32), (0.04, 0.01, 0.44), (0.09, 0.02, 0.52)]
        tubes([stalk], 0.016, stem, parent=whole)

    glaze = material("#c8d3d0", "#e9ece4", scale=1.5, Roughness=0.18, Coat_Weight=0.6)
    band = material("#27507a", "#3a6a98", scale=3, Roughness=0.2, Coat_Weight=0.6)
    radius = 0, 0.42, 0.45, 0.9, 1.08, 1.04, 0.85, 0.4, 0
    height = 0, 0, 0.08, 0.42, 0.72, 0.74, 0.46, 0.12, 0.1
    lathe(rounded(np.transpose([radius, height]), 0.06), glaze, around=96, at=(0.62, 0.9, 0))
    for low in (0.50, 0.60):
        slope = 0.9 + (low - 0.42) * 0.6
        ring = np.add((slope, low), [(0, 0), (0.012, 0.01), (0.03, 0.04), (0.024, 0.05)])
        lathe(ring, band, around=96, at=(0.62, 0.9, 0))
    apple((0.15, 0.78, 0.72), (0.3, -0.35, 0))
    apple((1.07, 0.68, 0.73), (0.35, 0.3, 2))
    apple((0.7, 1.5, 0.66), (-0.3, 0.2, 4))
    orange((0.61, 0.94, 1.2), (0.5, 0.3, 1))

    clear = material("#ffffff", Transmission_Weight=1.0, Roughness=0.0, IOR=1.45)
    water = material("#fafdff", Transmission_Weight=1.0, Roughness=0.0, IOR=1.33)
    tumbler = [(0, 0), (0.36, 0), (0.44, 1.15), (0.405, 1.15), (0.33, 0.12), (0, 0.12)]
    glass = lathe(rounded(tumbler, 0.03), clear, around=96, at=(-0.95, 0.55, 0.002))
    filling = [(0, 0.125), (0.325, 0.125), (0.374, 0.75), (0, 0.75)]
    fill = lathe(filling, water, around=96, at=(-0.95, 0.55, 0.002))
    # Light finds no way through glass and drops here (caustics), so at least they cast no black shadow.
    glass.visible_shadow = fill.visible_shadow = False

    ends = 0.08 * np.exp(-((np.minimum(angle, np.pi - angle) / 0.2) ** 2))
    lemon = np.stack([0.30 * np.sin(angle) ** 1.1, -(0.36 + ends) * np.cos(angle)], axis=1)
    lathe(lemon, zest, at=(-0.25, 0.95, 0.3), turn=(0, 1.45, 0.5), wobble=0.01)

    berry = material(
        "#3a1430",
        "#5d2147",
        "#7b3a5c",
        scale=2,
        Roughness=0.28,
        Subsurface_Weight=0.4,
        Subsurface_Scale=0.1,
        bump=0.003,
    )
    centres = rng.normal(size=(30, 3)) * (0.42, 0.22, 0.15) + (-1.45, -0.1, 0.3)
    for _ in range(300):
        gap = centres[:, None] - centres[None]
        distance = np.linalg.norm(gap, axis=2) + np.eye(30) * 9
        push = np.where(distance < 0.24, 0.24 - distance, 0)
        centres += 0.4 * (gap / distance[..., None] * push[..., None]).sum(axis=1) - (0, 0, 0.004)
        centres[:, 2] = np.maximum(centres[:, 2], 0.122)
    for centre in centres:
        ball(0.122, berry, 1.08, at=centre, turn=rng.uniform(0, 6, 3))
    core = np.array((-1.45, -0.1, 0.3))
    tubes([[core, (c + core) / 2 + (0, 0, 0.02), c] for c in centres[::2]], 0.01, stem)
    tubes([[core, core + (-0.1, 0, 0.2), core + (-0.15, 0.1, 0.5)]], 0.022, stem)

    drops = rng.uniform((-2, -2.0), (2, 0.6), (110, 2))
    for x, y in drops:
        size = rng.uniform(0.012, 0.05)
        ball(size, water, 0.4, at=(x, y, 0.004)).visible_shadow = False

    # Rolling, not sliding: the turn is the way over the radius.
    way = 0.30 * (t - 0.5)
    orange((0.1 + way, -0.75, 0.4), (1.2, -0.4 + way / 0.4, 0.3))
