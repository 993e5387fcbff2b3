"""Files whole or not at all, and pictures that are read as they are meant."""

import json
from threading import Thread

import numpy as np
import pytest
import torch
from PIL import Image

from frugal import images
from frugal.base import files
from frugal.base.checks import Refusal


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, [1])
    with pytest.raises(KeyboardInterrupt), files.whole(path) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "[\n 1\n]\n" and [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_that_nothing_can_be_deleted_from_is_one_sentence(tmp_path, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    for owner, name in ((files.os, "replace"), (files.Path, "unlink")):
        monkeypatch.setattr(owner, name, forbidden)
    with pytest.raises(Refusal, match="^out: .* cannot be written .Permission denied."):
        files.write_json(tmp_path / "a.json", [])


def test_in_one_folder_one_at_a_time_goes_on(tmp_path):
    order = []

    def second():
        with files.alone(tmp_path):
            order.append("second")

    waiting = Thread(target=second)
    with files.alone(tmp_path):
        waiting.start()
        waiting.join(0.2)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(Refusal, match="^out: .* cannot be written .No such file or directory.; free space"):
        files.write_json(tmp_path / "none" / "a.json", [])


def test_a_picture_is_turned_as_its_camera_says(tmp_path):
    picture = np.zeros((4, 8, 3), np.uint8)
    picture[:, 4:] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
    assert images.load(tmp_path / "a.png", size=4)[0, 0].tolist() == [1, 1, -1, -1]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_numbers_whose_range_is_not_known_are_refused(tmp_path, dtype):
    Image.fromarray(np.full((8, 8), 1000, dtype)).save(tmp_path / "a.tiff")
    with pytest.raises(Refusal, match="^image: .* whose range is not known"):
        images.load(tmp_path / "a.tiff")


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_16_bits_are_scaled_and_not_cut_off(tmp_path, kind):
    Image.fromarray(np.array([[0, 32768], [65535, 257]], np.uint16)).save(tmp_path / f"a.{kind}")
    found = images.to_uint8(images.load(tmp_path / f"a.{kind}", size=2))
    assert found[..., 0].tolist() == [[0, 127], [255, 1]]


def test_what_is_transparent_lies_on_white(tmp_path):
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "a.png")
    Image.new("RGBA", (4, 4), (255, 0, 0, 255)).save(tmp_path / "b.png")
    assert images.load(tmp_path / "a.png", size=4).min() == 1
    assert images.load(tmp_path / "b.png", size=4)[:, 0, 0].tolist() == [1, -1, -1]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "CMYK", "YCbCr"])
def test_every_kind_of_picture_has_three_channels_or_one(tmp_path, mode):
    file = tmp_path / ("a.jpg" if mode in ("CMYK", "YCbCr") else "a.png")
    Image.new("RGB", (8, 8), (200, 200, 200)).convert(mode).save(file)
    assert images.load(file, 4).shape == (3, 4, 4) and images.load(file, 4, channels=1).shape == (1, 4, 4)


def test_a_frame_may_reach_beyond_the_picture(tmp_path):
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = images.to_uint8(images.load(tmp_path / "a.png", 4, crop=(-1, 2, 4)))
    expected = np.pad(pixels, ((0, 2), (1, 0), (0, 0)), "symmetric")[2:, :4]
    assert np.array_equal(found, expected)


def test_a_picture_tells_what_it_was_made_from(tmp_path):
    images.save(torch.zeros(3, 4, 4), tmp_path / "a.png", about="made by hand")
    images.save(torch.zeros(3, 4, 4), tmp_path / "b.png")
    assert images.about(tmp_path / "a.png") == "made by hand"
    assert images.about(tmp_path / "b.png") == images.about(tmp_path / "none.png") == ""


def test_a_grey_picture_is_saved(tmp_path):
    images.save(torch.zeros(1, 8, 8), tmp_path / "a.png")
    assert images.load(tmp_path / "a.png", size=8).shape == (3, 8, 8)


def test_a_picture_is_known_by_its_pixels():
    x, y = images.shipped("faces", limit=2)
    assert images.digest(x) == images.digest(x + 1e-4) != images.digest(y)


def test_every_table_of_a_json_file_has_a_line_for_each_row(tmp_path):
    path, row = tmp_path / "a.json", {"b": [1, 2], "c": None}
    content = {"rows": [row, row], "d": {"rows": []}, "others": [row], "e": [1, 2], "f": []}
    files.write_json(path, content)
    assert json.loads(path.read_text()) == content and list(json.loads(path.read_text())) == list(content)
    assert path.read_text().count(f"\n  {json.dumps(row)}") == 3
