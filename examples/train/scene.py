"""A wooden toy train runs past letter blocks on an oak floor, behind blocks that nobody put away."""

import math

import bpy
import numpy as np
from studio import (
    ball,
    box,
    camera,
    disc,
    group,
    lamp,
    lathe,
    linear,
    link,
    material,
    paint,
    rounded,
    tubes,
    wood,
)


def train(t):
    rng = np.random.default_rng(7)
    camera((-1.5, -8.4, 2.35), (-0.5, 0, 0.84), 54, focus=8.2, stop=0.8)
    lamp("SUN", (-6, -5, 6), (0, 0, 0), 4.2, "#ffdfb0", 1.2)
    lamp("AREA", (-5, 1, 5), (0, 0, 0.5), 260, "#dbe8ff", 3)
    world = bpy.context.scene.world = bpy.data.worlds.new("room")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs[0].default_value = linear("#a9a49c")
    world.node_tree.nodes["Background"].inputs[1].default_value = 0.35
    oak = wood("#8a5f38", "#b98a56", "#cfa36e", Roughness=0.28, Coat_Weight=0.15)
    for row in range(-7, 14):
        start = rng.uniform(-6, 0)
        for i in range(-2, 3):
            box((5.97, 0.78, 0.2), oak, (start + 6 * i, 0.8 * row, -0.1), edge=0.012)
    wall = material("#dcd3c2", "#e6decf", scale=2, bump=0.004, Roughness=0.9)
    box((40, 0.3, 16), wall, (0, 9.6, 8))
    box((40, 0.5, 1.0), paint("#f3f0e8"), (0, 9.3, 0.5), edge=0.06)
    # A window frame between sun and floor draws the light.
    shade = paint("#ffffff")
    for x in (-5.4, -3.9, -2.4):
        box((0.16, 0.1, 6), shade, (x, -4.2, 5.6))
    box((9, 0.1, 0.16), shade, (-4, -4.2, 4.9))

    beech, red = wood("#d8b27c", "#e6c793", "#efd7ab"), paint("#b8231d")
    blue, yellow, green, black = paint("#1f4f86"), paint("#e5a91d"), paint("#3c7a3a"), paint("#1c1c1e")
    brass = material("#d9a441", Metallic=1.0, Roughness=0.25)
    for y, width in ((-0.5, 0.14), (0, 0.62), (0.5, 0.14)):
        for i in range(-3, 3):
            box((2.98, width, 0.12), beech, (3 * i + 1.2, y, 0.13), edge=0.02)
    for i in range(-3, 3):
        box((2.98, 1.2, 0.08), beech, (3 * i + 1.2, 0, 0.04), edge=0.02)

    way = 0.42 * (t - 0.5)
    top = 0.17  # of the rails' groove, where the wheels run

    def wheel(car, x, radius=0.24):
        # Five spokes look alike every 72 degrees, and rolling turns them by 100. They go the short way to the same
        # end: nothing in the two photos could tell an interpolation about the long one.
        turned = (0.5 - t) * (0.42 / radius - 2 * np.pi / 5)
        inner = radius - 0.06
        rim = [(inner, -0.05), (radius, -0.05), (radius, 0.05), (inner, 0.05), (inner, -0.05)]
        for side in (-0.41, 0.41):
            hub = group((x, side, top + radius), (math.pi / 2, 0, 0), car)
            spin = group(turn=(0, 0, turned), parent=hub)
            lathe(rounded(rim, 0.012), red, parent=spin)
            lathe(disc(0.07, 0.13), yellow, parent=spin)
            for spoke in range(5):
                arm = group(turn=(0, 0, spoke * 2 * np.pi / 5), parent=spin)
                box((radius - 0.08, 0.045, 0.05), beech, (radius / 2, 0, 0), parent=arm)

    engine = group((0.75 + way, 0, 0))
    box((1.9, 0.62, 0.16), beech, (0, 0, 0.52), parent=engine)
    box((0.12, 0.8, 0.2), red, (0.98, 0, 0.5), parent=engine)
    for x in (-0.6, 0.0, 0.6):
        wheel(engine, x)
    boiler = group((0.32, 0, 0.86), (0, math.pi / 2, 0), engine)
    lathe(disc(0.28, 1.15, 0.05), green, parent=boiler)
    for x in (-0.35, 0.05, 0.45):
        lathe(disc(0.29, 0.05, 0.01), brass, parent=boiler, at=(0, 0, x))
    lathe(disc(0.23, 0.06), black, parent=boiler, at=(0, 0, 0.59))
    lathe(disc(0.08, 0.1), yellow, parent=boiler, at=(0, 0, 0.64))
    funnel = [(0, 0), (0.10, 0), (0.09, 0.22), (0.17, 0.42), (0.17, 0.48), (0.12, 0.48), (0.1, 0.4), (0, 0.4)]
    lathe(rounded(funnel, 0.02), black, parent=engine, at=(0.68, 0, 1.1))
    dome = [(0.12, 0), (0.12, 0.12), (0.07, 0.2), (0, 0.22)]
    lathe(rounded(dome, 0.05), brass, parent=engine, at=(0.25, 0, 1.1))
    for x in (-0.88, -0.3):
        for y in (-0.29, 0.29):
            box((0.1, 0.07, 0.8), blue, (x, y, 1.0), parent=engine)
    box((0.68, 0.6, 0.38), blue, (-0.59, 0, 0.79), parent=engine)
    for y in (-0.29, 0.29):
        box((0.68, 0.07, 0.14), blue, (-0.59, y, 1.34), parent=engine)
    box((0.86, 0.8, 0.09), red, (-0.59, 0, 1.44), edge=0.04, parent=engine)
    for i, load in enumerate(("logs", "cubes")):
        wagon = group((-1.45 - 1.95 * i + way, 0, 0))
        tubes([[(0.6, 0, 0.5), (1.4, 0, 0.5)]], 0.025, black, parent=wagon)
        box((1.6, 0.62, 0.14), beech, (0, 0, 0.52), parent=wagon)
        wheel(wagon, -0.5)
        wheel(wagon, 0.5)
        if load == "logs":
            bark = material(
                "#3d2a1c",
                "#6f5238",
                "#94765a",
                scale=4,
                stretch=(2, 2, 0.4),
                bump=0.05,
                grain=9,
                Roughness=0.9,
            )
            shape = [(0.1, -0.72), (0.105, -0.3), (0.098, 0.3), (0.1, 0.72)]
            for y, z in ((-0.2, 0.72), (0.0, 0.72), (0.2, 0.72), (-0.1, 0.89), (0.1, 0.89)):
                log = lathe(shape, bark, wobble=0.03, parent=wagon, at=(0, y, z), turn=(0, math.pi / 2, 0))
                for end in (-0.715, 0.715):
                    lathe(disc(0.095, 0.02, 0.005), beech, parent=log, at=(0, 0, end))
            for x in (-0.45, 0.45):
                for y in (-0.31, 0.31):
                    box((0.07, 0.05, 0.5), beech, (x, y, 0.78), parent=wagon)
        else:
            for y in (-0.29, 0.29):
                box((1.6, 0.06, 0.4), yellow, (0, y, 0.77), parent=wagon)
            for x in (-0.77, 0.77):
                box((0.06, 0.6, 0.4), yellow, (x, 0, 0.77), parent=wagon)
            for x, y, z, look in (
                (-0.5, 0, 0.84, red),
                (-0.05, 0.05, 0.84, blue),
                (0.45, -0.03, 0.84, green),
                (-0.25, 0, 1.2, beech),
            ):
                askew = (0, 0, rng.uniform(-0.3, 0.3))
                box((0.36, 0.36, 0.36), look, (x, y, z), edge=0.03, turn=askew, parent=wagon)

    def block(letter, at, turn, look, size=0.9):
        cube = box((size, size, size), beech, at, edge=0.05, turn=(0, 0, turn))
        for side in range(4):
            face = group(turn=(0, 0, side * math.pi / 2), parent=cube)
            box((size * 0.82, 0.01, size * 0.82), look, (0, -size / 2 - 0.001, 0), parent=face, edge=0.004)
            curve = bpy.data.curves.new("letter", "FONT")
            curve.body, curve.size, curve.extrude = letter, size * 0.9, 0.006
            curve.align_x, curve.align_y = "CENTER", "CENTER"
            link(curve, shade, (0, -size / 2 - 0.01, 0), (math.pi / 2, 0, 0), face)

    for x, low, high in (
        (-2.7, ("S", blue), ("F", red)),
        (-1.55, ("O", green), ("I", yellow)),
        (-0.4, ("U", red), ("L", blue)),
        (0.75, ("P", yellow), ("M", green)),
    ):
        block(low[0], (x, 1.9 + rng.uniform(-0.1, 0.1), 0.5), rng.uniform(-0.12, 0.12), low[1], 1.0)
        block(high[0], (x + rng.uniform(-0.06, 0.06), 1.9, 1.5), rng.uniform(-0.25, 0.25), high[1], 1.0)
    block("B", (2.6, 3.6, 0.45), 0.5, blue)
    # Nearer than the train: what it passes behind.
    block("T", (-0.75, -1.5, 0.3), 0.35, blue, 0.6)
    ball(0.3, red, at=(1.5, -1.45, 0.3))
    lathe(rounded([(0.35, -0.25), (0.35, 0.25), (0, 0.3)], 0.1), yellow, at=(4, 5, 0.3))
