from __future__ import annotations

import os
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storymem_core.errors import StoryMemError
from storymem_core.store.project import output_folder


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("story", "story"),
        ("A Cat’s Peaceful Day", "A Cat’s Peaceful Day"),
        ("Quiet Petals: Lin Daiyu’s First Spring", "Quiet Petals_ Lin Daiyu’s First Spring"),
        ("V: the return", "V_ the return"),
        ("What is love?", "What is love_"),
        ("  series/first  ", "series/first"),
        ("series\\first", "series/first"),
        ("猫の一日", "猫の一日"),
        ("...and then", "...and then"),
        ("to be continued...", "to be continued"),
        ("console", "console"),
        ("tab\there", "tab_here"),
    ],
)
def test_names(tmp_path, name, folder):
    assert output_folder(tmp_path, name) == tmp_path.resolve() / folder
    assert not list(tmp_path.iterdir())  # nothing is made


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "must not be empty"),
        ("   ", "must not be empty"),
        (".", "must not be empty"),
        ("a//b", "must not be empty"),
        ("a/./b", "must not be empty"),
        ("a/", "must not be empty"),
        ("...", "must not be empty"),
        ("..", 'must not have ".."'),
        ("../other", 'must not have ".."'),
        ("a/../../b", 'must not have ".."'),
        ("a/.. /b", 'must not have ".."'),
        ("a\\..\\..\\b", 'must not have ".."'),
        ("/etc", "must not be absolute"),
        (" /etc", "must not be absolute"),
        ("\\\\server\\share", "must not be absolute"),
        ("C:\\films", "drive letter"),
        ("c:/films", "drive letter"),
        ("c:films", "drive letter"),
        ("c:", "drive letter"),
        ("CON", "reserved name 'CON'"),
        ("films/nul.txt", "reserved name 'nul.txt'"),
        ("com1 .x", "reserved name"),
        ("x" * 201, "longer than 200 bytes"),
        ("猫" * 70, "longer than 200 bytes"),
    ],
)
def test_refusals(tmp_path, name, rule):
    with pytest.raises(StoryMemError) as error:
        output_folder(tmp_path, name)
    assert rule in str(error.value)
    assert repr(name) in str(error.value)


def test_links_that_lead_outside_are_refused(tmp_path):
    root, outside = tmp_path / "output", tmp_path / "outside"
    (root / "real").mkdir(parents=True)
    outside.mkdir()
    (root / "link").symlink_to(outside)
    (root / "self").symlink_to(root)
    (root / "inner").symlink_to(root / "real")
    for name in ("link", "link/story", "self"):
        with pytest.raises(StoryMemError, match="output path outside the output folder"):
            output_folder(root, name)
    assert output_folder(root, "inner/story") == root.resolve() / "inner" / "story"


def test_the_output_folder_itself_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "output").symlink_to(tmp_path / "disk")
    assert output_folder(tmp_path / "output", "story") == tmp_path.resolve() / "disk" / "story"


PARTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["..", ".", "", " ", "C:", "con", "a", ".. ", "..\t", "~", "\x00", "..\x00", "\u2025", "．．"]
    ),
)
NAMES = st.builds(
    lambda parts, sign: sign.join(parts), st.lists(PARTS, min_size=1, max_size=5), st.sampled_from("/\\")
)


@settings(deadline=None)
@given(name=NAMES)
def test_no_name_leads_outside(tmp_path_factory, name):
    root = tmp_path_factory.getbasetemp() / "output"
    try:
        folder = output_folder(root, name)
    except StoryMemError:
        return
    below = os.path.relpath(os.path.normpath(folder), root.resolve())
    assert below != "." and not os.path.isabs(below)
    for pure in (PurePosixPath(below), PureWindowsPath(below)):
        assert not pure.anchor and not pure.drive and ".." not in pure.parts
        assert not any(
            part != part.rstrip(" .") or any(sign in part for sign in '<>:"|?*\0') for part in pure.parts
        )
    folder.mkdir(parents=True, exist_ok=True)  # what is accepted can be made


def test_equal_names_are_one_folder(tmp_path):
    assert output_folder(tmp_path, "a b") == output_folder(str(tmp_path), " a b ")
