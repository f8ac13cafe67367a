"""Sailing boats pass at sunset, before each other and behind mooring posts, mirrored by the water."""

import math

import numpy as np
from studio import box, camera, group, lathe, linear, material, paint, plain, rounded, sheet, sky, tubes, wood


def boats(t):
    rng = np.random.default_rng(2)
    camera((0, -14, 2.1), (0, 20, 2.9), 42)
    sky(6.2, 4, 0.11, clouds=0.8, dust=2.0)
    # The waves drift as the boats sail; nearly level, they need little relief to break up a reflection.
    drift = (0.10 * (t - 0.5), 0.0, 0.0)
    waves = {"stretch": (0.45, 1, 1), "drift": drift, "bump": 0.05, "grain": 1.1}
    plain(2500, -30, 3500, material("#0b2230", scale=1, **waves, Roughness=0.03, IOR=1.33))

    # Ridges behind ridges, each paler with the air before it.
    for distance, height, look in ((2600, 330, "#8c7f92"), (1700, 190, "#6b6478"), (900, 75, "#434457")):
        x = np.linspace(-1.2 * distance, 1.2 * distance, 500)
        skyline = sum(
            rng.uniform(0.5, 1) / k**1.15 * np.sin(k * x / distance * 2.1 + rng.uniform(0, 7)) for k in range(1, 60)
        )
        skyline = height * np.clip(0.45 + 0.28 * skyline, 0.02, None)
        rows = [np.stack([x, np.full_like(x, distance), level * skyline], axis=-1) for level in (0, 1)]
        haze = material(look, Roughness=1.0, Emission_Color=linear(look), Emission_Strength=0.25)
        sheet(np.array(rows), haze)

    hull_white, hull_blue, teak = paint("#ece8de"), paint("#1c3f5e"), wood("#6b4527", "#9a6a3c")
    cloth = material("#efe4cf", "#f7efe0", scale=1.5, leaf=0.65, Roughness=0.9)
    rust = material("#a4492a", "#b9583a", scale=1.5, leaf=0.65, Roughness=0.9)
    metal, rope = material("#b9b4aa", Metallic=0.8, Roughness=0.35), material("#5a5348")

    def boat(x, y, turn, size, hull, sail):
        base = group((x, y, 0), (0.05, 0, turn), None)
        base.scale = (size, size, size)
        s, u = np.meshgrid(np.linspace(0, 1, 40), np.linspace(-1, 1, 25), indexing="ij")
        beam = 0.95 * np.sin(np.pi * (0.28 + 0.72 * s) ** 0.9) ** 0.75 * (1 - s**6)
        sheer = 0.60 + 0.7 * (s - 0.4) ** 2 + 0.12 * s
        flare = np.sign(u) * np.abs(u) ** 0.6
        depth = -0.35 + (sheer + 0.35) * np.abs(u) ** 2.2
        rake = (1.1 * s**3 - 0.3 * (1 - s) ** 4) * np.abs(u)
        sheet(np.stack([-2.8 + 5.9 * s + rake, beam * flare, depth], axis=-1), hull, parent=base)
        deck = np.stack([-3.0 + 6.6 * s, 0.95 * beam * u, sheer - 0.06 + 0.03 * (1 - u**2)], axis=-1)
        sheet(deck, teak, parent=base)
        box((1.5, 0.9, 0.4), hull_white, (-0.1, 0, 0.8), edge=0.12, parent=base)
        lathe([(0.055, 0.5), (0.05, 5), (0.03, 8.3), (0, 8.3)], metal, around=12, at=(0.6, 0, 0), parent=base)
        tubes([[(0.6, 0, 1.5), (-2.5, -0.35, 1.45)]], 0.045, metal, parent=base)
        stays = [[(0.6, 0, 8.2), (3.2, 0, 0.85)], [(0.6, 0, 8.2), (-2.75, 0, 0.7)]]
        shrouds = [[(0.6, 0, 7), (0.5, 0.9, 0.7)], [(0.6, 0, 7), (0.5, -0.9, 0.7)]]
        tubes(stays + shrouds, 0.012, rope, parent=base)
        up, back = np.meshgrid(np.linspace(0, 1, 24), np.linspace(0, 1, 16), indexing="ij")
        width = (1 - up) ** 0.8
        belly = -0.5 * np.sin(np.pi * back**0.8) * width * (0.4 + up)
        main = [0.52 - 2.95 * back * width, belly - 0.32 * back * width, 1.6 + 6.4 * up]
        jib = [3.1 - 2.45 * up - 2.3 * back * (1 - up), -0.4 * back + 1.1 * belly, 1.0 + 6.2 * up]
        for cut in (main, jib):
            sheet(np.stack(cut, axis=-1), sail, parent=base)

    boat(-4.1 + 1.7 * t, 11, 0.12, 0.72, hull_blue, rust)
    boat(6.8 - 1.9 * t, 20, math.pi - 0.2, 0.86, hull_white, cloth)
    boat(-13.5 + 1.5 * t, 62, 0.3, 1.0, hull_white, cloth)
    boat(27 - 1.0 * t, 90, 2.6, 1.0, hull_blue, cloth)

    post = material("#2d241c", "#57483a", "#7a6a58", scale=1.5, stretch=(3, 3, 0.5), bump=0.05, grain=5, Roughness=0.85)
    for x, y, tall in ((-3.6, -3.2, 1.5), (-2.3, -4.5, 1.35), (3.7, -4.6, 1.6)):
        profile = rounded([(0.15, -1), (0.145, tall), (0, tall + 0.03)], 0.04)
        lathe(profile, post, around=24, wobble=0.02, at=(x, y, 0))
    sag = np.linspace(-1, 1, 24)
    line = np.stack([-2.95 + 0.65 * sag, -3.85 - 0.65 * sag, 1.0 + 0.2 * sag**2 - 0.08 * sag], axis=-1)
    tubes([line], 0.03, rope)
    # Gulls: two bent wings each.
    for x, y, z, span in ((-1.5, 16, 7.2, 0.6), (0.2, 19, 7.9, 0.6), (3.9, 14, 5.9, 0.5)):
        s = np.linspace(-1, 1, 13)
        wing = np.stack([s, -0.15 * np.abs(s), 0.32 * np.abs(s) - 0.3 * s**2], axis=-1) * span
        chord = np.array([0, 0.16, 0])[None] * span * (1 - np.abs(s) ** 1.5)[:, None]
        sheet(np.array([wing - chord, wing + chord]), hull_white, at=(x + 0.8 * t, y, z + 0.15 * t))
