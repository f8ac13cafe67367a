"""Files with more than one picture, RAW files and files that are not complete: the photo is read, or it is refused."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, TiffImagePlugin

from film.media import images, photo_file
from tests.support.clips import pan

PICTURES = [Image.fromarray(picture) for picture in pan(3, 64, 96)]


@pytest.mark.parametrize("suffix", [".avif", ".webp", ".gif", ".png", ".tif"])
def test_several_pictures_are_no_photo(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"moving{suffix}"
    PICTURES[0].save(path, save_all=True, append_images=PICTURES[1:])
    for read in (images.read_image, images.image_size):
        with pytest.raises(ValueError, match=rf"moving{suffix} is animated or has several pages.*\(3\)"):
            read(path)


def test_a_heif_with_equal_pictures_is_refused_and_the_photo_before_them_is_read(tmp_path: Path) -> None:
    heif = pillow_heif.from_pillow(PICTURES[0])
    heif.save(tmp_path / "one.heic")
    heif.add_from_pillow(PICTURES[1])
    heif.save(tmp_path / "burst.heic")
    assert images.read_image(tmp_path / "one.heic").shape == (64, 96, 3)
    with pytest.raises(ValueError, match="burst.heic is animated or has several pages"):
        images.read_image(tmp_path / "burst.heic")


def test_a_phone_photo_with_a_preview_beside_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "phone.jpg"
    PICTURES[0].save(path, "MPO", quality=95, save_all=True, append_images=[Image.new("RGB", (32, 32))])
    assert np.abs(images.read_image(path) - np.asarray(PICTURES[0]) / 255).mean() < 0.02


def tiff(path: Path, *pages: tuple[Image.Image, dict[int, int]]) -> Path:
    """A TIFF of several pages with tags of their own."""
    with TiffImagePlugin.AppendingTiffWriter(str(path), new=True) as file:
        for image, tags in pages:
            info = TiffImagePlugin.ImageFileDirectory_v2()
            for tag, value in tags.items():
                info[tag] = value
            image.save(file, format="TIFF", tiffinfo=info)
            file.newFrame()
    return path


def test_a_tiff_with_a_thumbnail_behind_its_picture_is_a_photo(tmp_path: Path) -> None:
    small = PICTURES[0].resize((24, 16))
    path = tiff(tmp_path / "scan.tif", (PICTURES[0], {254: 0}), (small, {254: 1}))
    assert images.read_image(path).shape == (64, 96, 3)


def test_a_tiff_that_begins_with_its_thumbnail_is_refused(tmp_path: Path) -> None:
    small = PICTURES[0].resize((24, 16))
    path = tiff(tmp_path / "scan.tif", (small, {254: 1}), (PICTURES[0], {254: 0}))
    with pytest.raises(ValueError, match="begins with a reduced copy"):
        images.read_image(path)


def raw_tiff(path: Path, tags: dict[int, int | bytes]) -> Path:
    """A TIFF whose only page is a thumbnail, and which says by a tag that there is more."""
    small, info = Image.fromarray(pan(1, 32, 48)[0]), TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        info[tag] = value
        info.tagtype[tag] = 1 if isinstance(value, bytes) else 4
    small.save(path, format="TIFF", tiffinfo=info)
    return path


def test_raw_files_are_refused_not_their_thumbnails_read(tmp_path: Path) -> None:
    dng = raw_tiff(tmp_path / "photo.DNG", {photo_file.DNG_VERSION: b"\1\4\0\0"})
    # The larger picture's directory behind the file: width and height.
    nef = raw_tiff(tmp_path / "photo.NEF", {photo_file.SUB_IFDS: 0})
    at = nef.stat().st_size
    directory = struct.pack("<HHHIIHHIII", 2, 256, 4, 1, 6000, 257, 4, 1, 4000, 0)
    nef = raw_tiff(nef, {photo_file.SUB_IFDS: at})
    nef.write_bytes(nef.read_bytes() + directory)
    (tmp_path / "photo.CR3").write_bytes(b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(500))
    for path in (dng, nef, tmp_path / "photo.CR3"):
        with pytest.raises(ValueError, match=f"{path.name} is a camera's RAW file"):
            images.read_image(path)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("cut", [1, 2])
def test_a_jpeg_that_lacks_its_end_marker_is_read(tmp_path: Path, options: dict[str, object], cut: int) -> None:
    path = tmp_path / "photo.jpg"
    PICTURES[0].save(path, quality=90, **options)
    expected, data = images.read_image(path), path.read_bytes()
    assert not photo_file.lacks_end(path)
    for content in (data[:-cut], data[:-2] + bytes(700)):
        path.write_bytes(content)
        assert photo_file.lacks_end(path)
        np.testing.assert_array_equal(images.read_image(path), expected)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99])
def test_a_jpeg_that_is_cut_in_its_picture_is_refused(tmp_path: Path, options: dict[str, object], kept: float) -> None:
    data = io.BytesIO()
    PICTURES[0].save(data, "JPEG", quality=90, **options)
    path = tmp_path / "photo.jpg"
    path.write_bytes(data.getvalue()[: int(len(data.getvalue()) * kept)])
    with pytest.raises(ValueError, match="damaged or incomplete"):
        images.read_image(path)


def test_a_folder_holds_all_that_is_read_singly(tmp_path: Path) -> None:
    for name in ("a.HIF", "b.heif", "c.JFIF", "d.avif", "e.gif", "f.mpo"):
        suffix = Path(name).suffix.lower()
        if suffix in (".hif", ".heif"):
            pillow_heif.from_pillow(PICTURES[0]).save(tmp_path / "x.heic")
            (tmp_path / "x.heic").rename(tmp_path / name)
        else:
            PICTURES[0].save(tmp_path / name, {".jfif": "JPEG", ".mpo": "JPEG"}.get(suffix, suffix[1:].upper()))
    PICTURES[0].save(tmp_path / "moving.gif", save_all=True, append_images=PICTURES[1:])
    assert [path.name[0] for path in images.in_folder(tmp_path)] == list("abcdef")
