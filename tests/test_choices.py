"""The ranking to choose from: what the menus lead to, and what they do not."""

import re

import torch

from frugal.show.choices import Line, choices, ranking

MENUS = {"task": ["sr4", "box"], "passes": ["10", "20"]}


def test_a_bar_begins_at_zero_and_a_picture_has_a_name():
    lines = [Line("DPS", "#000000", [15.0], torch.zeros(3, 4, 4)), Line("a < b", "#ffffff", [22.5])]
    text = ranking(["pSNR"], [".2f"], lines)
    assert [int(w) for w in re.findall(r"width:(\d+)px", text)] == [60, 90]
    assert "15.00" in text and "22.50" in text and "a &lt; b" in text
    assert text.count("<img") == 1 and 'alt="restored by DPS"' in text


def test_the_first_choice_is_shown_and_the_others_hidden():
    panels = {("sr4", "10"): "<p>one</p>", ("box", "20"): "<p>two</p>"}
    text = choices(MENUS, panels, "caption", "not measured").data
    assert '<div data-at="sr4|10"><p>one</p>' in text and '<div data-at="box|20" hidden><p>two</p>' in text
    assert text.count("<select") == 2 and "not measured" in text and "http" not in text
