"""The models that come with the pack are in the host's lists, and the user's own come first."""

from __future__ import annotations

import asyncio
import sys

import folder_paths
import pytest

from storymem_core.models.weights import FOLDER, SHIPPED, VAE


@pytest.fixture
def load(pack, tmp_path, monkeypatch):
    """The pack's own start with other weights; the host's lists are restored afterwards."""
    root = pack["StoryMemStoryLoop"].__module__.rpartition(".nodes.")[0]
    monkeypatch.setattr(sys.modules[f"{root}.storymem_core.host.weights"], "FOLDER", tmp_path / "weights")
    known = {
        kind: ([path for path in paths if not path.startswith(str(FOLDER))], set(endings))
        for kind, (paths, endings) in folder_paths.folder_names_and_paths.items()
    }
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", known)
    monkeypatch.setattr(folder_paths, "filename_list_cache", {})
    return lambda: asyncio.run(sys.modules[f"{root}.nodes"].StoryMemExtension().on_load())


def test_shipped_models_are_found_by_name(load, tmp_path):
    for name in SHIPPED:
        path = tmp_path / "weights" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "weights/LICENSE").touch()
    load()
    for name in SHIPPED:
        kind, _, file = name.partition("/")
        assert file in folder_paths.get_filename_list(kind)
        assert folder_paths.get_full_path(kind, file) == str(tmp_path / "weights" / name)


def test_a_users_file_of_the_same_name_wins(load, tmp_path):
    for folder in ("weights", "own"):
        (tmp_path / folder / VAE).parent.mkdir(parents=True)
        (tmp_path / folder / VAE).touch()
    folder_paths.add_model_folder_path("vae", str(tmp_path / "own/vae"))
    load()
    assert folder_paths.get_full_path("vae", VAE.partition("/")[2]) == str(tmp_path / "own" / VAE)


def test_a_pack_without_weights_starts(load):
    before = folder_paths.get_filename_list("loras")
    load()
    assert folder_paths.get_filename_list("loras") == before
