"""Small houses over a cobbled street, past which the camera moves; a bicycle leans on the fence in front."""

import math

import numpy as np
from studio import (
    ball,
    box,
    camera,
    disc,
    group,
    lamp,
    lathe,
    leaves,
    material,
    paint,
    rounded,
    sheet,
    sky,
    tubes,
    wood,
)


def bicycle(at, turn):
    """A bicycle with its wheels on the ground at y = 0, heading for x."""
    bike = group(at, turn)
    teal, rubber = paint("#2f7d78"), material("#151515", Roughness=0.7)
    chrome = material("#c9c9c6", Metallic=1.0, Roughness=0.2)
    radius, axle = 0.345, 0.37
    angle = np.linspace(0, 2 * np.pi, 49)
    for hub in (-0.53, 0.53):
        rim = np.stack([hub + radius * np.cos(angle), 0 * angle, axle + radius * np.sin(angle)], axis=-1)
        tubes([rim], 0.02, rubber, parent=bike)
        inner = (rim - (hub, 0, axle)) * 0.93 + (hub, 0, axle)
        tubes([inner], 0.009, chrome, parent=bike)
        spokes = [[(hub, 0.03 * (-1) ** k, axle), inner[k]] for k in range(0, 48, 2)]
        tubes(spokes, 0.0022, chrome, parent=bike)
        tubes([(rim - (hub, 0, axle))[6:32] * 1.12 + (hub, 0, axle)], 0.014, teal, parent=bike)
        tubes([[(hub, -0.05, axle), (hub, 0.05, axle)]], 0.022, chrome, parent=bike)
    crank, seat, head = (-0.08, 0, 0.33), (-0.25, 0, 0.86), (0.36, 0, 0.90)
    tubes(
        [
            [crank, seat],
            [crank, (0.39, 0, 0.78)],
            [(-0.22, 0, 0.76), head],
            [(-0.53, 0, axle), crank],
            [(-0.53, 0, axle), (-0.23, 0, 0.78)],
            [head, (0.42, 0, 0.68), (0.53, 0, axle)],
        ],
        0.016,
        teal,
        parent=bike,
    )
    tubes(
        [
            [seat, (-0.27, 0, 0.96)],
            [head, (0.34, 0, 1.02), (0.42, 0, 1.06)],
            [(0.22, -0.27, 1.06), (0.38, -0.2, 1.07), (0.42, 0, 1.06), (0.38, 0.2, 1.07), (0.22, 0.27, 1.06)],
        ],
        0.012,
        chrome,
        parent=bike,
    )
    tubes(
        [[(0.30, -0.24, 1.065), (0.2, -0.28, 1.06)], [(0.30, 0.24, 1.065), (0.2, 0.28, 1.06)]],
        0.018,
        wood("#4a2f1c"),
        parent=bike,
    )
    tubes([[crank, (0.02, -0.08, 0.2)], [(0.02, -0.06, 0.2), (0.02, -0.16, 0.2)]], 0.012, chrome, parent=bike)
    lathe(disc(0.09, 0.012, 0.004), chrome, parent=bike, at=(-0.08, -0.04, 0.33), turn=(math.pi / 2, 0, 0))
    saddle = [(0, 0), (0.06, 0.004), (0.1, 0.03), (0.1, 0.05), (0.06, 0.07), (0, 0.075)]
    made = lathe(
        rounded(saddle, 0.02),
        material("#4a2c18", "#6b4226", scale=8, Roughness=0.5),
        parent=bike,
        at=(-0.25, 0, 0.955),
    )
    made.scale = (1.35, 0.85, 1.0)
    weave = [
        [(0.56 + 0.14 * f * np.cos(a), 0.16 * f * np.sin(a), z) for a in np.linspace(0, 2 * np.pi, 25)]
        for z, f in zip(np.linspace(0.78, 1.02, 9), np.linspace(0.85, 1.05, 9), strict=True)
    ]
    staves = [
        [(0.56 + 0.14 * f * np.cos(a), 0.16 * f * np.sin(a), z) for z, f in ((0.78, 0.85), (1.02, 1.05))]
        for a in np.linspace(0, 2 * np.pi, 25)
    ]
    tubes(weave + staves, 0.009, wood("#8a6438", "#b58e58"), parent=bike)


def street(t):
    rng = np.random.default_rng(21)
    way = 0.42 * (t - 0.5)
    camera((way, -11, 1.75), (way + 0.25, 0, 1.95), 28, focus=8.5, stop=1.4)
    sky(38, 235, 0.16, disc=False)
    lamp("SUN", (-6, -7, 8.5), (0, 0, 0), 4.6, "#ffe3bd", 0.6)

    stone = material("#5d5750", "#8a8278", "#a39a8c", scale=1.1, bump=0.02, grain=14, Roughness=0.75)
    v, u = np.meshgrid(np.linspace(-1, 1, 7), np.linspace(-1, 1, 7), indexing="ij")
    dome = 0.035 * (1 - np.maximum(abs(u), abs(v)) ** 4)
    cobbles = []
    for row in range(44):
        for column in range(-60, 60):
            place = (
                (column + 0.5 * (row % 2)) * 0.21 + rng.normal(0, 0.006),
                -10 + 0.16 * row,
                rng.normal(-0.02, 0.006),
            )
            w, d = 0.1 * rng.uniform(0.85, 0.97), 0.075 * rng.uniform(0.88, 0.98)
            round_u, round_v = u * np.sqrt(1 - 0.25 * v**2), v * np.sqrt(1 - 0.25 * u**2)
            cobbles.append(np.stack([w * round_u, d * round_v, dome - 0.02], axis=-1) + place)
    sheet(np.array(cobbles), stone)
    soil = material("#3a332b", "#57503f", scale=6, bump=0.02, grain=60, Roughness=1.0)
    box((80, 60, 0.2), soil, (0, 5, -0.14))
    slab = material("#8f8a80", "#aaa498", scale=2, bump=0.006, grain=40, Roughness=0.8)
    for i in range(-16, 17):
        box((0.98, 1.9, 0.2), slab, (i, -1.9, -0.02), edge=0.015)

    white, iron = paint("#ebe7dc"), material("#1d2022", Roughness=0.4, Metallic=0.6)
    pane = material("#141b22", "#2a3540", scale=0.8, Roughness=0.04, Coat_Weight=1.0, Coat_Roughness=0.0)
    lace = material(
        "#b9b3a4", "#d8d3c4", scale=2, stretch=(8, 1, 1), Roughness=0.6, Coat_Weight=1.0, Coat_Roughness=0.02
    )
    green = material("#27441a", "#456b26", "#6c8f38", scale=1.5, leaf=0.3, Roughness=0.5)
    blooms = [material(c, leaf=0.35, Roughness=0.6) for c in ("#c8324a", "#e8a0b4", "#f2eee6")]

    def bush(at, spread, count, flowers=0.12, size=0.05):
        centres = rng.normal(size=(count, 3))
        centres *= (rng.uniform(0.75, 1.0, count) / np.linalg.norm(centres, axis=1))[:, None]
        centres = centres * spread + at
        leaves(centres, size, rng, green)
        for bloom in blooms:
            chosen = centres[rng.random(count) < flowers / 3] + (0, -0.03, 0.01)
            blossoms = np.repeat(chosen, 4, axis=0) + rng.normal(0, 0.012, (4 * len(chosen), 3))
            leaves(blossoms, 0.7 * size, rng, bloom)

    def window(x, z, shutter, w=0.95, h=1.35, box_of_flowers=False):
        box((w + 0.16, 0.12, h + 0.16), white, (x, -0.02, z))
        box((w, 0.02, h), pane, (x, -0.085, z), edge=0.002)
        for side in (-1, 1):
            box((w * 0.26, 0.01, h * 0.96), lace, (x + side * w * 0.35, -0.093, z), edge=0.002)
            box((0.5, 0.05, h + 0.1), shutter, (x + side * (w / 2 + 0.36), -0.04, z))
            for k in range(12):
                slat = (x + side * (w / 2 + 0.36), -0.07, z - h / 2 + 0.08 + k * h / 12)
                box((0.4, 0.03, 0.06), shutter, slat, edge=0.005, turn=(0.5, 0, 0))
        box((0.05, 0.05, h), white, (x, -0.1, z), edge=0.008)
        for level in (-0.17, 0.17):
            box((w, 0.05, 0.04), white, (x, -0.1, z + level * h), edge=0.008)
        box((w + 0.3, 0.26, 0.07), slab, (x, -0.1, z - h / 2 - 0.1))
        if box_of_flowers:
            box((w + 0.1, 0.2, 0.18), wood("#5b3d25", "#7d5a38"), (x, -0.2, z - h / 2 + 0.03))
            bush((x, -0.22, z - h / 2 + 0.2), (w / 2, 0.14, 0.16), 260, 0.5, 0.045)

    def house(x, width, height, plaster, shutter, tile, door):
        wall = material(plaster[0], plaster[1], scale=0.7, bump=0.012, grain=9, Roughness=0.9)
        box((width, 6, height), wall, (x, 3, height / 2), edge=0.03)
        box((width + 0.02, 0.1, 0.55), slab, (x, -0.02, 0.27))
        across, up = np.meshgrid(
            np.linspace(-0.5, 0.5, int(width * 24)) * (width + 0.2), np.linspace(0, 1, 97), indexing="ij"
        )
        ridge = 0.05 * np.abs(np.sin(across * np.pi / 0.26)) + 0.05 * (1 - (up * 16) % 1)
        roof = np.stack([across, -0.4 + 3.4 * up, height - 0.1 + 2.5 * up + ridge], axis=-1)
        sheet(roof[:, ::-1], material(*tile, scale=3, bump=0.01, Roughness=0.8), at=(x, 0, 0))
        box((width + 0.2, 0.14, 0.14), white, (x, -0.4, height - 0.12), edge=0.05)
        brick = material("#7a4634", "#9a5f48", scale=5, bump=0.02, Roughness=0.9)
        box((0.7, 0.7, 1.8), brick, (x + width * 0.3, 2.2, height + 2.2))
        where, looks = door
        box((1.25, 0.16, 2.45), white, (x + where, -0.03, 1.35))
        box((1.0, 0.06, 2.1), looks, (x + where, -0.12, 1.25))
        for a in (-0.22, 0.22):
            for b, tall in ((0.65, 0.5), (1.3, 0.55)):
                box((0.32, 0.03, tall), looks, (x + where + a, -0.15, b + 0.08), edge=0.012)
        for a in (-0.25, 0.25):
            box((0.4, 0.02, 0.32), pane, (x + where + a * 0.9, -0.15, 2.03), edge=0.004)
        ball(0.035, material("#c9973a", Metallic=1.0, Roughness=0.25), at=(x + where + 0.38, -0.19, 1.15))
        box((1.5, 0.6, 0.18), slab, (x + where, -0.3, 0.14))
        for floor in range(2):
            for spot in (-width / 4 - 0.1, width / 4 + 0.1):
                if floor or abs(spot - where) > 1.2:
                    window(x + spot, 1.75 + 2.35 * floor, shutter, box_of_flowers=(spot > 0) != (floor == 0))

    clay, slate = ("#7d3a26", "#a3553a", "#b87050"), ("#4a4d54", "#62666e", "#7b7d80")
    house(-6.6, 4.4, 5.3, ("#d9a35c", "#e6b976"), paint("#3d5a4c"), clay, (-1.0, paint("#6d2f24")))
    house(-2.1, 4.6, 5.7, ("#b9533f", "#cf7259"), paint("#e3dccb"), slate, (-1.15, paint("#2d4a5f")))
    house(2.7, 5.0, 5.2, ("#e8dcc0", "#f2ead6"), paint("#4d7396"), clay, (1.35, paint("#2f5d73")))
    house(7.5, 4.6, 5.8, ("#8fa9a0", "#a9c0b6"), paint("#f0ece0"), clay, (1.1, paint("#7a3b2a")))
    bush((0.22, -0.35, 0.5), (0.42, 0.3, 0.6), 900)
    bush((-4.4, -0.4, 0.45), (0.5, 0.3, 0.55), 900)
    bush((5.15, -0.3, 1.7), (0.3, 0.16, 1.75), 2200, 0.2)

    oak = wood("#4f3a27", "#7a5c3e", "#9a7c59", bump=0.02, Roughness=0.85)
    for post in (-4.3, -2.2, -0.1, 2.0, 4.1):
        tall, askew = 1.15 + rng.uniform(-0.05, 0.08), (0, rng.uniform(-0.03, 0.03), 0)
        box((0.11, 0.11, tall), oak, (post, -5.2, 0.5), turn=askew)
    for z in (0.45, 0.88):
        for post in (-4.3, -2.2, -0.1, 2.0):
            box((2.2, 0.045, 0.1), oak, (post + 1.05, -5.27, z), turn=(0, rng.uniform(-0.02, 0.02), 0))
    for x, size in ((-3.1, 0.42), (-2.45, 0.3), (2.35, 0.36), (3.1, 0.45), (3.6, 0.3)):
        bush((x, -5.0, size * 0.8), (size * 1.1, 0.28, size), 800, 0.35, 0.045)

    bicycle((0.35, -5.5, 0.0), (-0.16, 0, 0.04))
    bush((0.92, -5.36, 1.06), (0.15, 0.15, 0.12), 260, 0.9, 0.04)

    # A lamp post is the nearest thing, and so the one that moves most.
    tubes([[(-1.95, -6.6, 0), (-1.95, -6.6, 3.8)]], 0.04, iron)
    lathe(rounded([(0.11, 0), (0.11, 0.3), (0.07, 0.5), (0.05, 0.9)], 0.03), iron, at=(-1.95, -6.6, 0))
    # A tree beside the camera is seen by its shadow, and by the branch that hangs in.
    crown = rng.normal(size=(2600, 3)) * (1.5, 1.2, 0.9) + (-6.5, -6.5, 6.2)
    branch = rng.normal(size=(420, 3)) * (0.8, 0.3, 0.2) + (-3.0, -5.4, 4.15)
    leaves(np.concatenate([crown, branch]), 0.13, rng, green)
    tubes([[(-8, -6.5, 3.4), (-5, -5.8, 4.3), (-3.2, -5.4, 4.2), (-2.0, -5.3, 4.1)]], 0.03, oak)
