"""Small pictures of photos, as data URIs of a few kilobytes: nothing is written to the disk or fetched again."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

HEIGHT = 96  # pixels: of a cell as it is shown; fine screens have twice as many


def uri(jpeg: bytes) -> str:
    """A JPEG as a data URI."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def pixels(uri: str) -> npt.NDArray[np.uint8]:
    """(H, W, 3): what `uri` holds."""
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"))
