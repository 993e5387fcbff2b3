"""The players of the pages: nothing outside the HTML is needed, and every picture has a text."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from frugal import images
from frugal.show import players


class Tags(HTMLParser):
    """The opening tags of a page: a list of (name, attributes)."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def named(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def pixels(attributes):
    """The picture inside an <img> as an array (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(attributes["src"].split(",")[1]))))


def pictures(count, channels=3, side=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, channels, side, side, generator=generator) * 2 - 1


@pytest.fixture
def pair():
    x = pictures(2), pictures(2, seed=1)
    return x, players.before_after(*x, ("measured", "hybrid"), ["cat", "rocket"], "Before and after.").data


@pytest.fixture
def films():
    x = {"DPS": pictures(5), "DMPS": pictures(5, seed=1), "hybrid": pictures(5, seed=2)}
    labels = [f"k = {k}" for k in range(4, -1, -1)]
    return x, players.replay(x, labels, "one face", "Three methods.").data


@pytest.fixture(params=["pair", "films"])
def html(request):
    return request.getfixturevalue(request.param)[1]


def test_nothing_outside_the_html_is_fetched(html):
    assert not re.search(r"https?:|<script|<link|@import|url\(", html)
    addresses = [a[name] for _, a in Tags(html).found for name in ("src", "href") if name in a]
    assert addresses and all(address.startswith("data:image/png;base64,") for address in addresses)


def test_one_slider_with_a_name_and_a_text_for_every_picture(html):
    (slider,) = Tags(html).named("input")
    assert slider["type"] == "range" and slider["aria-label"] and "--at" in slider["oninput"]
    texts = [a["alt"] for a in Tags(html).named("img")]
    assert all(texts) and len(set(texts)) == len(texts)
    assert len(Tags(html).named("figcaption")) == 1


def test_the_pictures_are_those_given(pair):
    (before, after), html = pair
    shown = [pixels(a) for a in Tags(html).named("img")]
    expected = [images.to_uint8(x) for both in zip(before, after) for x in both]
    assert len(shown) == len(expected) and all(map(np.array_equal, shown, expected))


def test_every_frame_is_in_its_film_and_has_its_label(films):
    frames, html = films
    (slider,) = Tags(html).named("input")
    labels = json.loads(slider["data-labels"])
    assert int(slider["max"]) == len(labels) - 1 == 4
    assert slider["value"] == slider["max"] and slider["aria-valuetext"] == labels[-1] == "k = 0"
    for film, attributes in zip(frames.values(), Tags(html).named("img")):
        assert np.array_equal(pixels(attributes).reshape(5, 8, 8, 3), images.to_uint8(film))


@pytest.mark.parametrize("count, width", [(1, 192), (3, 192), (4, 128), (9, 128)])
def test_up_to_four_pictures_fit_in_one_row(count, width):
    films = {str(i): pictures(2, side=64) for i in range(count)}
    assert f"--width:{width}px" in players.replay(films, ["a", "b"], "c", "d").data


def test_grey_pictures_are_shown_grey():
    html = players.before_after(pictures(1, 1), pictures(1, 1), ("a", "b"), ["c"], "d").data
    shown = pixels(Tags(html).named("img")[0])
    assert shown.shape == (8, 8, 3) and (shown == shown[..., :1]).all()


def test_texts_cannot_break_out_of_the_html():
    nasty = '<b onclick="x">&'
    html = players.replay({nasty: pictures(2)}, [nasty, nasty], nasty, nasty).data
    html += players.before_after(pictures(1), pictures(1), (nasty, nasty), [nasty], nasty).data
    assert "<b " not in html
    first, second = Tags(html).named("input")
    assert json.loads(first["data-labels"]) == [nasty, nasty] and nasty in second["aria-label"]
