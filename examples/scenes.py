"""Render the example pairs and the true middle between them.

A development-time tool, run in its own environment with Python 3.11 and bpy 4.5.0 (Blender as a module):

    pip install bpy==4.5.0 pillow
    python examples/scenes.py                      # every scene, as shipped
    python examples/scenes.py --scene train --samples 16 --width 480

Each `<name>/scene.py` is a function of the moment t in [0, 1] that builds everything anew, with a fixed seed:
t = 0 and t = 1 are the pair `examples/<name>/first.jpg` and `last.jpg`, and t = 0.5 is the middle that an
interpolation should find, `tests/truth/<name>.jpg`. What moves, moves linearly in t, without motion blur.
"""

import argparse
import tempfile
from pathlib import Path

from boats.scene import boats
from fruit.scene import fruit
from meadow.scene import meadow
from PIL import Image
from street.scene import street
from studio import render
from train.scene import train

ROOT = Path(__file__).resolve().parent.parent
MOMENTS = {"first": 0.0, "middle": 0.5, "last": 1.0}
SCENES = {"fruit": fruit, "train": train, "meadow": meadow, "street": street, "boats": boats}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scene", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument("--moment", nargs="+", choices=MOMENTS, default=list(MOMENTS))
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--width", type=int, default=960)
    parser.add_argument("--out", type=Path, default=ROOT, help="the folder that gets examples/ and tests/truth/")
    arguments = parser.parse_args()
    for name in arguments.scene:
        for moment in arguments.moment:
            folder, stem = ("tests/truth", name) if moment == "middle" else (f"examples/{name}", moment)
            target = arguments.out / folder / f"{stem}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory() as scratch:
                picture = Path(scratch) / "picture.png"
                render(SCENES[name], MOMENTS[moment], arguments.width, arguments.samples, picture)
                # The middle is a measure, so it keeps its full colour resolution.
                quality = {"quality": 95, "subsampling": 0} if moment == "middle" else {"quality": 92}
                Image.open(picture).convert("RGB").save(target, **quality)


if __name__ == "__main__":
    main()
