"""What phones make, through the page with its defaults: a 10 s 1080p video, then two upright photos of 12 megapixels.

    python -m benchmarks.page_phone [--space] [--seconds 10] [--side 768] [--out FOLDER]

It starts `python app.py`, on a host's terms with --space, chooses the files in Chromium, presses Create, waits,
downloads the film and says what it holds. --side: another longest side than the page's; 10 s are 1,200 frames.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from PIL import Image

from benchmarks.watching import log_lines
from film.media import video_reader
from tests.conftest import moved, photo
from tests.support import browsing
from tests.support.browsing import Visit, visiting
from tests.support.clips import ffmpeg
from tests.support.serving import serve

FILM_SECONDS = 3 * 60 * 60  # until a film counts as never finished
TURNED = 6  # EXIF orientation: the sensor lay on its side
DETAIL = 4  # times: the photos are a smaller texture, enlarged


def clip(path: Path, seconds: float) -> Path:
    """Moving content with sound as a phone that is held upright writes it: 1920x1080 at 30 frames a second, turned."""
    lying = path.with_name("lying.mp4")
    scene = f"testsrc2=size=1920x1080:rate=30:duration={seconds:g}"
    sound = f"sine=frequency=440:sample_rate=48000:duration={seconds:g}"
    encoded = ("-c:v", "libx264", "-preset", "veryfast", "-b:v", "12M", "-pix_fmt", "yuv420p", "-c:a", "aac")
    ffmpeg("-f", "lavfi", "-i", scene, "-f", "lavfi", "-i", sound, *encoded, str(lying))
    ffmpeg("-display_rotation", "90", "-i", str(lying), "-c", "copy", str(path))
    lying.unlink()
    return path


def portraits(folder: Path) -> list[Path]:
    """Two photos as an upright phone saves them, 4032x3024 and turned by their EXIF data."""
    exif = Image.Exif()
    exif[0x0112] = TURNED
    paths = []
    for number, frame in enumerate(moved(3024 // DETAIL, 4032 // DETAIL), 1):
        small = photo(folder / f"IMG_{number}.png", frame)
        paths.append(folder / f"IMG_{number}.jpg")
        Image.open(small).resize((4032, 3024)).save(paths[-1], quality=92, exif=exif)
    return paths


def make(page: Visit, side: int | None, plan: str, out: Path) -> None:
    """Press Create once the plan is there, wait for the film, and say what it is."""
    if side:
        page.select("Longest side", f"{side} pixels")
    page.expect_text("#plan", plan)
    print("plan: ", " ".join(page.inner_text("#plan").split()), flush=True)
    begun = time.monotonic()
    page.click("Create")
    page.expect_text("#state", "made by")
    print("state:", " ".join(page.inner_text("#state").split()))
    path = page.downloaded(out)
    looked = video_reader.read_metadata(path)
    print(
        f"file:  {path.name}, {path.stat().st_size / 1e6:.1f} MB, {looked.width}x{looked.height},"
        f" {looked.seconds:.2f} s at {float(looked.fps):.4g} frames a second, sound {looked.sound},"
        f" {time.monotonic() - begun:.0f} s after Create",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", action="store_true", help="with a Space's settings and limits")
    parser.add_argument("--seconds", type=float, default=10, help="of the video")
    parser.add_argument("--side", type=int, help="the longest side, of those that the page offers")
    parser.add_argument("--out", type=Path, help="where the films are kept")
    options = parser.parse_args()
    browsing.TIMEOUT = FILM_SECONDS
    settings = {"SPACE_ID": "somebody/film"} if options.space else {}
    with tempfile.TemporaryDirectory() as name, browsing.browsing() as browser:
        folder = Path(name)
        out = options.out or folder
        out.mkdir(parents=True, exist_ok=True)
        video, pair = clip(folder / "VID_1.mp4", options.seconds), portraits(folder)
        with serve(folder, **settings) as server:
            with visiting(server, browser) as page:
                page.upload(*pair)
                make(page, options.side, "31 calls", out / "photos.mp4")
            with visiting(server, browser) as page:
                page.choose("kind", "Video")
                page.set_input_files("#clip input[type=file]", video)
                page.wait_for_selector("#clip video")
                make(page, options.side, "calls of the model", out / "video.mp4")
            for level, line in log_lines(server):
                if level not in ("INFO", "info"):
                    print(level, line)


if __name__ == "__main__":
    main()
