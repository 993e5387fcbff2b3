"""Photos that are damaged already, from file to file: masks, kernels, faces in a frame, samples, folders."""

import json

import numpy as np
import pytest
import torch
from examples import saved, small_pipe
from PIL import Image, ImageDraw
from scipy.ndimage import convolve1d
from skimage import data

from frugal import RestorationPipeline, cli, images, operators
from frugal.base.checks import Refusal
from frugal.photo import align, damage, known
from frugal.prior import SHIPPED
from frugal.prior.step_sizes import StepSizes

pytestmark = pytest.mark.usefixtures("small")
FAST = ["--steps", "2", "--fast"]


def restore(photo, out, *more):
    return cli.main(["restore", str(photo), *FAST, "--out", str(out), *more])


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    """A shipped face as a file of the prior's size."""
    file = tmp_path_factory.mktemp("face") / "face.png"
    images.save(images.shipped("faces", limit=1)[0], file)
    return file


@pytest.fixture
def mask(tmp_path):
    """Hides columns 20 to 39."""
    grey = np.full((64, 64), 255, np.uint8)
    grey[:, 20:40] = 0
    Image.fromarray(grey).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


@pytest.fixture(scope="module")
def astronaut(tmp_path_factory):
    """A public-domain portrait in which the face is small."""
    file = tmp_path_factory.mktemp("photo") / "astronaut.png"
    Image.fromarray(data.astronaut()).save(file)
    return file


@pytest.mark.parametrize(
    "task, shape",
    [("sr4", (3, 16, 16)), ("colorize", (1, 64, 64)), ("deblur", (3, 64, 64)), ("denoise", (3, 64, 64))],
)
def test_a_photo_is_the_measurement_and_is_not_degraded(face, task, shape):
    m = damage.measured(face, operators.make(task), 0.01)
    assert m.y.shape == (1, *shape)
    expected = images.load(face, shape[1], channels=shape[0])
    assert torch.equal(m.y[0], expected)


def test_hidden_pixels_are_not_looked_at(face, mask, tmp_path):
    spoilt = np.array(Image.open(face))
    spoilt[:, 20:40] = 77
    Image.fromarray(spoilt).save(tmp_path / "spoilt.png")
    A = damage.operator("inpaint", (3, 64, 64), damage.mask_of("inpaint", face, mask))
    assert A.measurement_shape == (3 * 64 * 44,)
    files = (face, tmp_path / "spoilt.png")
    one, other = (damage.measured(file, A, 0.01).y for file in files)
    assert torch.equal(one, other)


def test_a_mask_that_is_resized_hides_all_that_it_touches(tmp_path):
    grey = np.full((256, 256), 255, np.uint8)
    grey[100, 101] = 0
    seen = damage.seen(Image.fromarray(grey), 64, None)
    hidden = (~seen).nonzero()
    assert hidden.min(0).values.tolist() == [24, 24] and hidden.max(0).values.tolist() == [26, 26]


def test_a_transparent_part_is_a_mask(face, mask, tmp_path):
    erased = Image.open(face).convert("RGBA")
    erased.putalpha(Image.open(mask))
    erased.save(tmp_path / "erased.png")
    by_alpha = damage.mask_of("inpaint", tmp_path / "erased.png", None)
    by_file = damage.mask_of("inpaint", face, mask)
    assert np.array_equal(np.array(by_alpha), np.array(by_file))
    assert damage.mask_of("inpaint-box", face, None) is None


def test_a_kernel_from_a_file_sums_to_one(tmp_path):
    Image.fromarray(np.array([[0, 255, 0], [255, 255, 255]], np.uint8)).save(tmp_path / "k.png")
    assert torch.allclose(
        damage.read_kernel(tmp_path / "k.png", (3, 8, 8)), torch.tensor([[0, 1, 0], [1, 1, 1]]).double() / 4
    )


def test_a_real_blur_is_explained_where_the_kernel_does_not_reach_over_the_rim(astronaut, tmp_path):
    """The photo is blurred before the face is cut out, so its blur is not circular; a wrong kernel is noticed."""
    blurred = convolve1d(data.astronaut().astype(float), np.ones(9) / 9, axis=1)
    Image.fromarray(blurred.round().astype(np.uint8)).save(tmp_path / "shaken.png")
    where = (200, 80, 64)  # of the prior's size, so that nothing is resized
    x0 = images.load(astronaut, 64, where)[None]
    left = {}
    for name, size in (("right", (1, 9)), ("wrong", (9, 1)), ("even", (2, 4))):
        Image.fromarray(np.full(size, 255, np.uint8)).save(tmp_path / "k.png")
        A = damage.operator("deblur", (3, 64, 64), kernel=tmp_path / "k.png")
        h, w = size
        assert A.measurement_shape == (3, 64 - 2 * (h // 2), 64 - 2 * (w // 2))
        left[name] = damage.residual(damage.measured(tmp_path / "shaken.png", A, 0.004, where), x0)[0]
    assert left["right"] < 1 and left["wrong"] > 10
    Image.fromarray(np.full((1, 64), 255, np.uint8)).save(tmp_path / "k.png")
    with pytest.raises(Refusal, match="^kernel: .* nothing would be left"):
        damage.operator("deblur", (3, 64, 64), kernel=tmp_path / "k.png")


def test_the_residual_of_the_truth_is_one(face):
    x0, A = images.load(face)[None], operators.make("sr4")
    m = A.measure(x0.expand(50, -1, -1, -1), 0.1, torch.Generator().manual_seed(0))
    assert np.mean(damage.residual(m, x0)) == pytest.approx(1, abs=0.02)


def test_a_damaged_photo_is_restored_and_no_quality_invented(face, mask, tmp_path, capsys):
    out = tmp_path / "out.png"
    assert restore(face, out, "--task", "inpaint", "--mask", str(mask)) == 0
    said = capsys.readouterr().out
    assert "69% of it seen, taken as measured by inpaint" in said and "sigma" in said
    assert "pSNR" not in said and "LPIPS" not in said
    about = json.loads(images.about(out))
    assert about["task"] == "inpaint" and about["degraded"] is False and about["steps"] == 2


def test_degrading_is_asked_for_or_has_no_mask_of_ones_own(face, mask, tmp_path, capsys):
    restore(face, tmp_path / "a.png", "--task", "sr4")
    assert "degraded by sr4" in capsys.readouterr().out
    restore(face, tmp_path / "b.png", "--task", "inpaint", "--mask", str(mask), "--degrade")
    assert "degraded by inpaint" in capsys.readouterr().out
    restore(face, tmp_path / "c.png", "--task", "sr4", "--measured")
    assert "resized to 16 x 16, taken as measured" in capsys.readouterr().out


def test_samples_their_mean_and_their_spread(face, tmp_path, capsys):
    asked = ["--task", "sr4", "--prior", str(SHIPPED / "faces64")]  # whose pictures need no clipping
    assert restore(face, tmp_path / "o.png", *asked, "--samples", "3") == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"o.png", "o-2.png", "o-3.png", "o-mean.png", "o-spread.png"}
    draws = torch.stack([images.load(tmp_path / name) for name in ("o.png", "o-2.png", "o-3.png")])
    assert (draws.mean(0) - images.load(tmp_path / "o-mean.png")).abs().max() < 0.02
    spread = Image.open(tmp_path / "o-spread.png")
    assert spread.mode == "L" and spread.getextrema()[1] == 255
    assert "3 samples in all" in capsys.readouterr().out
    first = (tmp_path / "o.png").read_bytes()
    pixels = lambda: np.array(Image.open(tmp_path / "o.png")).astype(int)
    before = pixels()
    restore(face, tmp_path / "o.png", *asked)
    assert abs(before - pixels()).max() <= 4 and first != (tmp_path / "o.png").read_bytes()  # about differs


def test_samples_in_python():
    pipe = RestorationPipeline.from_pretrained().speed_up()
    pipe.set_progress_bar_config(disable=True)
    m = operators.make("sr4").measure(
        images.shipped("faces", limit=2), 0.01, torch.Generator().manual_seed(0)
    )
    noise = [torch.Generator().manual_seed(i) for i in range(6)]
    out = pipe(m, num_inference_steps=2, num_samples=3, generator=noise)
    assert out.images.shape == (6, 3, 64, 64) and out.samples.shape == (2, 3, 3, 64, 64)
    assert torch.equal(out.samples[1, 0], out.images[3]) and len(out.backprops) == 6
    assert torch.allclose(out.mean, out.samples.mean(1)) and torch.allclose(out.spread, out.samples.std(1))
    alone = pipe(m[1:], num_inference_steps=2, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(alone.images[0], out.samples[1, 0], atol=0.05)
    assert alone.spread.abs().max() == 0


def test_a_face_is_found_and_put_back(astronaut, tmp_path, capsys):
    left, top, side = align.frame(astronaut)
    assert abs(left - 158) < 8 and abs(top - 40) < 8 and abs(side - 128) < 8
    assert restore(astronaut, tmp_path / "o.png", "--task", "sr4", "--align") == 0
    whole, photo = (np.array(Image.open(file), dtype=int) for file in (tmp_path / "o.png", astronaut))
    changed = np.argwhere(np.abs(whole - photo).max(-1) > 2)
    assert whole.shape == photo.shape and len(changed)
    assert (changed.min(0) >= [top, left]).all() and (changed.max(0) < [top + side, left + side]).all()
    assert Image.open(tmp_path / "o-face.png").size == (64, 64)
    assert "the whole photo with the restored face" in capsys.readouterr().out


def test_a_scratch_over_the_face_does_not_hide_it_from_the_detector(astronaut, tmp_path):
    scratched, mask = Image.open(astronaut), Image.new("L", (512, 512), 255)
    for picture, colour in ((scratched, (245, 240, 225)), (mask, 0)):
        ImageDraw.Draw(picture).line([(178, 78), (205, 118), (268, 168)], fill=colour, width=9)
    scratched.save(tmp_path / "scratched.png")
    left, top, side = align.frame(tmp_path / "scratched.png", mask)
    assert abs(left - 158) < 8 and abs(top - 40) < 12 and abs(side - 128) < 12


def test_one_may_say_where_the_face_is(astronaut, tmp_path, capsys):
    assert restore(astronaut, tmp_path / "o.png", "--task", "sr4", "--align", "158", "40", "128") == 0
    assert "cut out at (158, 40, 128)" in capsys.readouterr().out


def test_with_a_mask_only_what_it_hides_is_replaced(astronaut, tmp_path):
    grey = np.full((512, 512), 255, np.uint8)
    grey[100:112, 180:260] = 0
    Image.fromarray(grey).save(tmp_path / "mask.png")
    assert (
        restore(
            astronaut,
            tmp_path / "o.png",
            "--task",
            "inpaint",
            "--align",
            "--mask",
            str(tmp_path / "mask.png"),
        )
        == 0
    )
    whole, photo = (np.array(Image.open(file), dtype=int) for file in (tmp_path / "o.png", astronaut))
    changed = np.argwhere(np.abs(whole - photo).max(-1) > 0)
    assert changed.min(0).tolist() >= [98, 178] and changed.max(0).tolist() <= [113, 261]


@pytest.fixture
def holed(astronaut, tmp_path):
    """The portrait with a hole in the face, one far from it, and a half-transparent corner."""
    pixels = np.dstack([data.astronaut(), np.full((512, 512), 255, np.uint8)])
    pixels[100:106, 190:240] = (1, 2, 3, 0)
    pixels[400:410, 30:60] = (9, 8, 7, 0)
    pixels[:20, :20, 3] = 200
    Image.fromarray(pixels).save(tmp_path / "holed.png")
    return tmp_path / "holed.png", pixels


def test_opacity_and_all_outside_the_restored_pixels_come_back_bit_for_bit(holed, tmp_path, capsys):
    photo, before = holed
    assert restore(photo, tmp_path / "o.png", "--task", "inpaint", "--align", "158", "40", "128") == 0
    after = np.array(Image.open(tmp_path / "o.png"))
    assert after.shape == before.shape
    changed = np.argwhere((after != before).any(-1))
    assert changed.min(0).tolist() >= [99, 189] and changed.max(0).tolist() <= [106, 240]
    assert (after[100:106, 190:240, 3] == 255).all() and (after[400:410, 30:60] == (9, 8, 7, 0)).all()
    assert (after[:20, :20, 3] == 200).all()
    assert (
        "hidden pixels outside the face's frame stay as they were; --rest fills them"
        in capsys.readouterr().out
    )


def test_the_rest_is_filled_when_asked_for(holed, face, tmp_path, capsys):
    photo, before = holed
    where = ["--task", "inpaint", "--align", "158", "40", "128", "--rest"]
    assert restore(photo, tmp_path / "o.png", *where) == 0
    after = np.array(Image.open(tmp_path / "o.png"))
    assert (after[400:410, 30:60, 3] == 255).all()
    truth = data.astronaut()[400:410, 30:60].astype(int)
    assert np.abs(after[400:410, 30:60, :3] - truth).mean() < 15
    assert "are filled from around them" in capsys.readouterr().out
    assert restore(photo, tmp_path / "p.png", "--task", "inpaint", "--rest") == 2
    assert "frugal restore: rest: there is nothing to fill" in capsys.readouterr().err


def test_a_measurement_that_throws_detail_away_is_warned_of(astronaut, face, tmp_path, capsys):
    align = ["--measured", "--align", "158", "40", "128"]
    restore(astronaut, tmp_path / "a.png", "--task", "sr4", *align)
    said = capsys.readouterr().out
    assert "warning: sr4 leaves out what the photo shows" in said and "128 pixels fits denoise" in said
    restore(astronaut, tmp_path / "b.png", "--task", "denoise", *align)
    assert "leaves out" not in capsys.readouterr().out
    small = Image.open(face).resize((16, 16), Image.Resampling.BOX)
    for side in (16, 150):  # a thumbnail, and one that was only enlarged
        small.resize((side, side), Image.Resampling.BICUBIC).save(tmp_path / "small.png")
        restore(tmp_path / "small.png", tmp_path / "c.png", "--task", "sr4", "--measured")
        assert "leaves out" not in capsys.readouterr().out
    small.resize((9, 9)).save(tmp_path / "small.png")
    restore(tmp_path / "small.png", tmp_path / "c.png", "--task", "sr4", "--measured")
    assert (
        "9 x 9 pixels, fewer than sr4 takes as measured; a square of 9 pixels fits sr8"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    "size, side, task",
    [(64, 183, "denoise"), (64, 40, "sr4"), (64, 10, "sr8"), (64, 2, "sr16"), (256, 40, "sr8")],
)
def test_the_factor_follows_from_the_size_of_the_face(size, side, task):
    assert damage.fitting((3, size, size), side) == task


def test_a_picture_that_the_prior_does_not_know_is_said_to_be_so(face, tmp_path):
    pipe = RestorationPipeline.from_pretrained(SHIPPED / "faces64")
    text = (torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float() * 2 - 1
    tiles = text.repeat_interleave(8, -1).repeat_interleave(8, -2)
    ratios = [known.error(pipe, x[None]) for x in images.shipped("faces")]
    assert (
        max(ratios)
        < known.UNKNOWN
        < max(known.error(pipe, x[None]) for x in images.shipped("out_of_distribution"))
    )
    assert known.unknown(pipe, images.load(face)[None]) == ""
    assert known.unknown(pipe, tiles).startswith("warning: the prior hardly knows")
    pipe.step_sizes = StepSizes()
    assert known.unknown(pipe, tiles) == ""


def test_no_face_and_no_detector_are_sentences(tmp_path, face, astronaut, monkeypatch):
    Image.new("RGB", (100, 80)).save(tmp_path / "black.png")
    with pytest.raises(Refusal, match="^align: no upright face was found"):
        align.frame(tmp_path / "black.png")
    black = Image.new("L", (512, 512), 255)
    black.paste(0, (0, 400, 100, 512))
    with pytest.raises(Refusal, match="^align: no upright face that the mask touches"):
        align.frame(astronaut, black)
    monkeypatch.setitem(__import__("sys").modules, "skimage.feature", None)
    with pytest.raises(Refusal, match="^align: needs scikit-image"):
        align.frame(face)


def test_a_folder_is_restored_and_goes_on_where_it_was_stopped(face, tmp_path, capsys):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name in ("a.png", "b.png"):
        (photos / name).write_bytes(face.read_bytes())
    (photos / "bad.png").write_text("no picture")
    assert restore(photos, out, "--task", "sr4") == 2
    said = capsys.readouterr()
    assert "bad.png: left out; image: " in said.out and "1 photos were left out" in said.err
    assert {p.name for p in out.iterdir()} == {"a.png", "b.png"}
    (out / "b.png").unlink()
    restore(photos, out, "--task", "sr4")
    said = capsys.readouterr().out
    assert f"{out / 'a.png'}: is there already" in said and f"{out / 'b.png'}: spectral" in said
    restore(photos, out, "--task", "sr4", "--sigma", "0.02")
    assert "there already" not in capsys.readouterr().out


def test_an_output_is_made_anew_after_the_prior_was_tuned_anew(face, tmp_path, capsys):
    photos, prior = tmp_path / "photos", saved(small_pipe(64), tmp_path / "prior")
    photos.mkdir()
    (photos / "a.png").write_bytes(face.read_bytes())
    again = lambda: restore(
        photos, tmp_path / "out", "--task", "sr4", "--method", "dps", "--prior", str(prior)
    )
    assert again() == again() == 0
    assert "there already" in capsys.readouterr().out
    content = json.loads((prior / "step_sizes.json").read_text())
    content["tuned"]["sr4"]["0"]["zeta"] *= 2
    (prior / "step_sizes.json").write_text(json.dumps(content))
    assert again() == 0 and "there already" not in capsys.readouterr().out


def test_info_says_what_a_prior_is(capsys):
    assert cli.main(["info", str(SHIPPED / "faces64")]) == 0
    said = capsys.readouterr().out
    for part in (
        "3 x 64 x 64",
        "1000 noise levels",
        "v_prediction",
        "7,252,003",
        "91f6de78ff9f9a6e",
        "non-commercial",
    ):
        assert part in said


def test_a_grey_prior_restores_and_is_judged(face, tmp_path, capsys):
    """The command with a prior of one channel, from a folder."""
    small_pipe(32, channels=1).save_pretrained(tmp_path / "grey")
    own = ["--prior", str(tmp_path / "grey")]
    assert restore(face, tmp_path / "o.png", "--task", "sr4", *own) == 0
    assert Image.open(tmp_path / "o.png").mode == "L" and "pSNR" in capsys.readouterr().out
    assert restore(face, tmp_path / "p.png", "--task", "sr4", "--measured", *own) == 0
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "a.png").write_bytes(face.read_bytes())
    out = tmp_path / "r.json"
    asked = ["--images", str(tmp_path / "faces"), "--task", "inpaint-box", "--steps", "2", "--out", str(out)]
    assert cli.main(["evaluate", *asked, *own]) == 0
    assert len(json.loads(out.read_text())["rows"]) == 3
    assert cli.main(["info", str(tmp_path / "grey")]) == 0
    assert "1 x 32 x 32" in capsys.readouterr().out
