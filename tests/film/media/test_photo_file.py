"""Files with more than one picture, RAW files and files that are not complete: the photo is read, or it is refused."""

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


def tiff(path: Path, *pages: tuple[Image.Image, dict[int, int | bytes]]) -> Path:
    with TiffImagePlugin.AppendingTiffWriter(str(path), new=True) as file:
        for image, tags in pages:
            info = TiffImagePlugin.ImageFileDirectory_v2()
            for tag, value in tags.items():
                info[tag] = value
                info.tagtype[tag] = 1 if isinstance(value, bytes) else 4
            image.save(file, format="TIFF", tiffinfo=info)
            file.newFrame()
    return path


def test_a_tiff_may_have_a_thumbnail_behind_its_picture_not_before_it(tmp_path: Path) -> None:
    picture, small = (PICTURES[0], {254: 0}), (PICTURES[0].resize((24, 16)), {254: 1})
    assert images.read_image(tiff(tmp_path / "scan.tif", picture, small)).shape == (64, 96, 3)
    with pytest.raises(ValueError, match="begins with a reduced copy"):
        images.read_image(tiff(tmp_path / "scan.tif", small, picture))


def test_raw_files_are_refused_not_their_thumbnails_read(tmp_path: Path) -> None:
    """The only page is a thumbnail, and a tag says that there is more."""
    small = Image.fromarray(pan(1, 32, 48)[0])
    dng = tiff(tmp_path / "photo.DNG", (small, {photo_file.DNG_VERSION: b"\1\4\0\0"}))
    # The larger picture's directory behind the file: width and height.
    at = tiff(tmp_path / "photo.NEF", (small, {photo_file.SUB_IFDS: 0})).stat().st_size
    directory = struct.pack("<HHHIIHHIII", 2, 256, 4, 1, 6000, 257, 4, 1, 4000, 0)
    nef = tiff(tmp_path / "photo.NEF", (small, {photo_file.SUB_IFDS: at}))
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


def test_folders_are_read_in_natural_order(tmp_path: Path) -> None:
    others = ["photo 11.jfif", "photo 12.jpe", "photo 13.JIF"]  # of JPEG
    alike = ["A1.jpg", "a01.jpg", "a1.jpg"]
    for name in ("photo 10.jpg", "photo 9.jpg", "Photo 1.JPG", "notes.txt", ".photo 3.jpg", *others, *alike[::-1]):
        (tmp_path / name).touch()
    (tmp_path / "photo 2.jpg").mkdir()
    expected = [*alike, "Photo 1.JPG", "photo 9.jpg", "photo 10.jpg", *others]
    assert [path.name for path in images.in_folder(tmp_path)] == expected
    with pytest.raises(ValueError, match="not a folder"):
        images.in_folder(tmp_path / "photo 9.jpg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no photos"):
        images.in_folder(tmp_path / "empty")
