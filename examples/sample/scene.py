"""Draw the page's sample clip and burst: a balloon, clouds and a windmill, two seconds of it.

    python examples/sample/scene.py     # writes clip.mp4 and burst-1.jpg … burst-5.jpg beside itself

Everything is a shape at a moment t in [0, 1], drawn four times too large and scaled down. What is far away moves less.
"""

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

import film

FOLDER = Path(__file__).resolve().parent
WIDTH, HEIGHT, SCALE = 640, 360, 4
FRAMES, FPS = 48, 24
BURST = 5


def picture(t: float) -> Image.Image:
    """The scene at that moment, (360, 640)."""
    sky = np.linspace((255, 214, 170), (120, 170, 214), HEIGHT)[::-1, None, :].repeat(WIDTH, 1).astype(np.uint8)
    image = Image.fromarray(sky).resize((WIDTH * SCALE, HEIGHT * SCALE))
    draw = ImageDraw.Draw(image)
    for x, y, size in ((90, 60, 34), (300, 40, 26), (520, 85, 40)):
        for dx, dy, share in ((-0.9, 0.15, 0.7), (0, 0, 1), (0.9, 0.2, 0.75)):
            circle(draw, x + 45 * t + dx * size, y + dy * size, share * size * 0.6, "#fff4e6")
    for level, color, far in ((235, "#8f9fae", 12), (275, "#6f8a6a", 26), (318, "#4c6b45", 55)):
        xs = np.arange(-10, WIDTH + 11, 4)
        ridge = level + 17 * np.sin((xs + far * t) / 61 + level) + 9 * np.sin((xs + far * t) / 23 + level)
        points = [(x * SCALE, y * SCALE) for x, y in zip(xs, ridge, strict=True)]
        draw.polygon([*points, (WIDTH * SCALE + 99, HEIGHT * SCALE + 9), (-99, HEIGHT * SCALE + 9)], fill=color)
    windmill(draw, 470 - 40 * t, 225, math.radians(80 * t))
    balloon(draw, 130 + 120 * t, 175 - 60 * t)
    return image.filter(ImageFilter.GaussianBlur(1)).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def circle(draw, x, y, radius, color):
    draw.ellipse([SCALE * (x - radius), SCALE * (y - radius), SCALE * (x + radius), SCALE * (y + radius)], fill=color)


def shape(draw, points, color):
    draw.polygon([(SCALE * x, SCALE * y) for x, y in points], fill=color)


def windmill(draw, x, y, angle):
    shape(draw, [(x - 20, y + 110), (x - 11, y), (x + 11, y), (x + 20, y + 110)], "#f3ead9")
    shape(draw, [(x - 15, y + 2), (x, y - 16), (x + 15, y + 2)], "#8a4b32")
    for quarter in range(4):
        turn = angle + quarter * math.pi / 2
        along, across = np.array([math.cos(turn), math.sin(turn)]), np.array([-math.sin(turn), math.cos(turn)])
        hub = np.array([x, y])
        corners = [hub + 12 * along, hub + 78 * along, hub + 78 * along + 15 * across, hub + 12 * along + 15 * across]
        shape(draw, corners, "#c9b79a")
        shape(draw, [hub - across, hub + 80 * along - across, hub + 80 * along + across, hub + across], "#5d3a29")
    circle(draw, x, y, 6, "#5d3a29")


def balloon(draw, x, y):
    for stripe, color in enumerate(("#b24a2c", "#f0c27b", "#b24a2c", "#f0c27b", "#b24a2c")):
        half = 52 * math.cos(stripe * math.pi / 10)
        box = [SCALE * (x - half), SCALE * (y - 60), SCALE * (x + half), SCALE * (y + 50)]
        draw.ellipse(box, fill=color)
    shape(draw, [(x - 26, y + 38), (x + 26, y + 38), (x + 9, y + 66), (x - 9, y + 66)], "#8c3a22")
    for side in (-8, 8):
        shape(
            draw,
            [(x + side, y + 64), (x + side + 1.2, y + 64), (x + side + 1.2, y + 84), (x + side, y + 84)],
            "#3a2a20",
        )
    shape(draw, [(x - 11, y + 82), (x + 11, y + 82), (x + 9, y + 98), (x - 9, y + 98)], "#6b4a2f")


def main() -> None:
    film.write_video(FOLDER / "clip.mp4", (np.asarray(picture(n / (FRAMES - 1))) for n in range(FRAMES)), FPS)
    for number in range(BURST):
        picture(0.5 * number / (BURST - 1)).save(FOLDER / f"burst-{number + 1}.jpg", quality=88)


if __name__ == "__main__":
    main()
