"""run.py: its command line, the plan, the count of the tests."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runner import film, installation, rings, server
from runner.arguments import Arguments, parse
from runner.environment import Environment
from runner.rings import Counts
from runner.server import Place
from storymem_core.errors import StoryMemError
from storymem_core.script import script as scripts

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = (
    '{"story_name": "Tale", "story_overview": "", "scenes": [{"scene_num": 1, "video_prompts": ["A", "B"], '
)
SCRIPT += '"first_frame_prompt": ["", ""], "cut": ["True", "False"]}]}'


@pytest.fixture(autouse=True)
def _no_existing_comfyui(monkeypatch):
    """The tests' own variable is also that of people with a ComfyUI."""
    monkeypatch.delenv("COMFYUI_PATH", raising=False)


@pytest.fixture
def script(tmp_path) -> Path:
    file = tmp_path / "tale.json"
    file.write_text(SCRIPT)
    return file


def story_graph(tmp_path: Path, **inputs: object) -> Path:
    graph = {
        "1": {"class_type": "StoryMemScript", "inputs": {"text": "A cat."}},
        "2": {"class_type": "StoryMemMemoryBank", "inputs": {}},
        "3": {
            "class_type": "StoryMemStoryLoop",
            "inputs": {"seed": 5, "length": 17, "overlap": 5, "project": "", **inputs},
        },
    }
    file = tmp_path / "graph.json"
    file.write_text(json.dumps(graph))
    return file


def test_demo_takes_seed_references_and_a_folder(tmp_path):
    pictures = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    for picture in pictures:
        picture.touch()
    a, b, c = map(str, pictures)
    given = parse(["demo", "--seed", "3", "--reference", a, b, "--reference", c, "--out", "tale"])
    assert given == Arguments("demo", seed=3, references=tuple(pictures), out=Path("tale"))


def test_train_takes_a_size_a_folder_and_a_time():
    given = parse(["train", "tiny", "--out", "dir", "--minutes", "25"])
    assert given == Arguments("train", name="tiny", out=Path("dir"), minutes=25.0)


def test_every_word_of_test_is_kept():
    assert parse(["test", "core", "-k", "a or b", "--lf"]).rest == ("core", "-k", "a or b", "--lf")


def test_a_host_is_not_pytest_s():
    given = parse(["test", "server", "--host", "0.24.1", "-k", "a"])
    assert given == Arguments("test", host="0.24.1", rest=("server", "-k", "a"))


def test_every_word_after_a_benchmark_is_its_own():
    given = parse(["bench", "memory", "--stories", "4"])
    assert given == Arguments("bench", name="memory", rest=("--stories", "4"))


@pytest.mark.parametrize(
    "words, told",
    [
        ([], "required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["film"], "required: SCRIPT"),
        (["film", "absent.json"], "there is no file 'absent.json'"),
        (["demo", "--seed", "x"], "--seed"),
        (["demo", "--seed", "-1"], "a seed is 0 to"),
        (["demo", "--reference", "absent.png"], "there is no file 'absent.png'"),
        (["test", "--host"], "--host needs a version of ComfyUI: 0.30.0, 0.27.0, 0.24.1"),
        (["bench", "absent"], "invalid choice: 'absent'"),
        (["train", "huge", "--out", "x"], "invalid choice: 'huge'"),
        (["train", "tiny"], "required: --out"),
        (["train", "tiny", "--out", "x", "--minutes", "0"], "a time in minutes is above 0"),
    ],
)
def test_nonsense_is_told(words, told, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_a_plan_without_a_graph_is_81_frames_by_mi2v(script):
    shots = json.loads(film.plan_json(parse(["film", str(script), "--plan"])))["shots"]
    assert [list(shot) for shot in shots] == [
        ["id", "scene", "prompt", "mode", "seed", "frames", "dropped"]
    ] * 2
    assert [(s["prompt"], s["mode"], s["frames"], s["dropped"]) for s in shots] == [
        ("A", "t2v", 81, 0), ("B", "mi2v", 81, 1),
    ]  # fmt: skip


def test_a_plan_follows_the_graph_the_seed_and_the_references(script, tmp_path):
    graph = story_graph(tmp_path)
    shots = film.plan(parse(["film", str(script), "--plan", "--graph", str(graph)]))
    assert [(s.mode, s.frames, s.dropped) for s in shots] == [("m2v", 17, 0), ("mm2v", 17, 5)]
    same = film.plan(parse(["film", str(script), "--plan", "--graph", str(graph), "--seed", "5"]))
    other = film.plan(parse(["film", str(script), "--plan", "--graph", str(graph), "--seed", "6"]))
    assert same == shots
    assert {s.seed for s in other}.isdisjoint(s.seed for s in shots)
    referred = film.plan(parse(["film", str(script), "--plan", "--reference", str(graph)]))
    assert referred[0].mode == "m2v"


def test_a_film_is_the_graph_with_all_that_was_asked(script, tmp_path):
    graph = story_graph(tmp_path)
    picture = tmp_path / "hero.png"
    words = ["film", str(script), "--graph", str(graph), "--seed", "9", "--out", str(tmp_path / "my tale")]
    picture.touch()
    given = parse([*words, "--reference", str(picture), str(picture)])
    names = film.input_names(given.references)
    assert names == ["0_hero.png", "1_hero.png"]
    filled = film.filled_graph(given, names)
    assert filled["1"]["inputs"]["text"] == SCRIPT
    assert filled["3"]["inputs"]["seed"] == 9
    assert filled["3"]["inputs"]["project"] == "my tale"
    assert len([node for node in filled.values() if node["class_type"] == "LoadImage"]) == 2


@pytest.mark.parametrize(
    "out, name", [("tale", "tale"), ("tale/", "tale"), ("tale/x/..", "tale"), (".", None)]
)
def test_the_storys_folder_is_the_last_part_of_out(tmp_path, monkeypatch, out, name):
    monkeypatch.chdir(tmp_path)
    filled = film.filled_graph(Arguments("demo", graph=story_graph(tmp_path), out=Path(out)), [])
    assert filled["3"]["inputs"]["project"] == (name or tmp_path.name)


def test_a_script_does_not_go_into_the_folder_of_the_graphs_own_story(tmp_path):
    script = tmp_path / "fox.txt"
    script.write_text("A fox.")
    own = json.loads(story_graph(tmp_path).read_text())
    linked, literal = (tmp_path / f"{name}.json" for name in ("linked", "literal"))
    for file, project in ((linked, ["9", 0]), (literal, "Ink")):
        own["3"]["inputs"]["project"] = project
        file.write_text(json.dumps(own))

    def project(graph, **given):
        return film.filled_graph(Arguments("film", graph=graph, **given), [])["3"]["inputs"]["project"]

    assert project(literal, script=script) == "", "the story's own name"
    assert project(literal) == "Ink" and project(linked, script=script) == ["9", 0]
    assert project(literal, script=script, out=tmp_path / "tale") == "tale"


def test_images_that_a_script_names_lie_beside_it_or_in_the_hosts_input_folder(tmp_path):
    shots = [{"prompt": "A", "start_image": "door.png"}, {"prompt": "B", "id": "b", "end_image": "lake.png"}]
    story = scripts.parse(json.dumps({"scenes": [{"shots": shots}]}))
    (tmp_path / "door.png").touch()
    place = Place(tmp_path / "ComfyUI", None)
    with pytest.raises(StoryMemError, match=r"shot 'b' names an image .*beside story\.json nor .*lake\.png"):
        film.own_images(story, tmp_path / "story.json", place)
    lake = place.host / "input" / "lake.png"
    lake.parent.mkdir(parents=True)
    lake.touch()
    assert film.own_images(story, tmp_path / "story.json", place) == {
        "door.png": tmp_path / "door.png", "lake.png": lake
    }  # fmt: skip
    (tmp_path / "inner").mkdir()
    for elsewhere in ("../lake.png", str(tmp_path / "lake.png")):
        other = scripts.parse(json.dumps({"scenes": [{"shots": [{"prompt": "A", "end_image": elsewhere}]}]}))
        with pytest.raises(StoryMemError, match=r"lies neither beside story\.json nor in"):
            film.own_images(other, tmp_path / "inner" / "story.json", place)


def test_a_queued_graph_finds_the_images_of_its_script_too(tmp_path, monkeypatch):
    graph = json.loads(story_graph(tmp_path).read_text())
    shots = [{"prompt": "A fox.", "start_image": "door.png"}]
    graph["1"]["inputs"]["text"] = json.dumps({"scenes": [{"shots": shots}]})
    file = tmp_path / "queued.json"
    file.write_text(json.dumps(graph))
    (tmp_path / "door.png").touch()
    ran = {}
    monkeypatch.setattr(film, "_run", lambda graph, *_, **options: ran.update(options) or [])
    film.queue(Arguments("queue", graph=file), Place(tmp_path / "ComfyUI", None), print)
    assert ran["images"]["door.png"] == tmp_path / "door.png"


def test_progress_does_without_a_plan_that_only_the_run_knows(tmp_path):
    graph = json.loads(story_graph(tmp_path).read_text())
    script = scripts.parse("A fox.\n\n[continue] It runs.")
    assert len(film._modes(graph, script)) == 2
    graph["3"]["inputs"]["only"] = ["9", 0]
    assert film._modes({**graph, "9": {"class_type": "RandomShots", "inputs": {}}}, script) == []


def test_files_that_a_graph_loads_lie_beside_it_or_in_the_hosts_input_folder(tmp_path):
    graphs, host = tmp_path / "graphs", tmp_path / "ComfyUI"
    for path in (graphs / "hero.png", host / "input" / "hero.png", host / "input" / "clips" / "walk.mp4"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "secret.png").touch()
    loads = [
        ("LoadImage", {"image": "hero.png [input]"}), ("LoadVideo", {"file": "clips/walk.mp4"}),
        ("LoadImage", {"image": "gone.png"}), ("LoadImage", {"image": "../secret.png"}),
        ("LoadAudio", {"audio": ["1", 0]}),
    ]  # fmt: skip
    graph = {str(id): {"class_type": kind, "inputs": inputs} for id, (kind, inputs) in enumerate(loads)}
    assert film.found_inputs(graph, graphs / "graph.json", Place(host, None)) == {
        "hero.png": graphs / "hero.png", "clips/walk.mp4": host / "input" / "clips" / "walk.mp4"
    }  # fmt: skip


def test_a_film_with_nothing_asked_is_the_graph_itself(tmp_path):
    graph = story_graph(tmp_path)
    assert film.filled_graph(Arguments("demo", graph=graph), []) == json.loads(graph.read_text())


@pytest.mark.parametrize(
    "words, parts, options",
    [
        ([], ["lint", "types", "core", "host", "server", "canvas", "registry"], []),
        (["host", "core"], ["core", "host"], []),
        (["core", "-k", "x"], ["core"], ["-k", "x"]),
        (["-x"], ["core", "host", "server", "canvas", "registry"], ["-x"]),
    ],
)
def test_selection_of_rings(words, parts, options):
    assert rings.selection(words) == (parts, options)


@pytest.mark.parametrize("words, parts", [([], ["server"]), (["host"], ["host"]), (["-k", "x"], ["server"])])
def test_another_host_runs_what_depends_on_it(words, parts):
    assert rings.selection(words, rings.ON_A_HOST)[0] == parts


REPORT = """<testsuites><testsuite errors="1" failures="2" skipped="3" tests="10"/></testsuites>"""


def test_counts_come_from_the_report(tmp_path):
    (tmp_path / "report.xml").write_text(REPORT)
    assert rings.counted(tmp_path / "report.xml") == Counts(4, 3, 3)


def project(tmp_path: Path, **tests: str) -> Path:
    """A project with one test file in each named ring."""
    for ring in rings.RINGS:
        (tmp_path / "tests" / ring).mkdir(parents=True)
        if ring in tests:
            (tmp_path / "tests" / ring / "test_it.py").write_text(tests[ring])
    return tmp_path


PASSES, FAILS, HIT = "def test_it(): 1", "def test_it(): assert 0", "def test_hit(): 1"


@pytest.mark.parametrize(
    "words, tests, total, code",
    [
        (["core", "host"], {"core": PASSES, "host": PASSES}, "2 passed, 0 failed, 0 skipped", 0),
        (["core", "host"], {"core": FAILS, "host": PASSES}, "1 passed, 1 failed, 0 skipped", 1),
        (["core"], {"core": "raise ValueError"}, "0 passed, 1 failed, 0 skipped", 1),
        (["core"], {"core": "import os\ndef test_it(): os._exit(0)"}, "0 passed, 1 failed, 0 skipped", 1),
        (["core", "host"], {"host": PASSES}, "1 passed, 1 failed, 0 skipped", 1),
        (["core", "host", "-k", "hit"], {"core": PASSES, "host": HIT}, "1 passed, 0 failed, 0 skipped", 0),
    ],
    ids=["all pass", "goes on after a failure", "broken file", "crash", "empty ring", "selected"],
)  # fmt: skip
def test_the_closing_line_counts_all(tmp_path, monkeypatch, capsys, words, tests, total, code):
    monkeypatch.setattr(rings, "ROOT", project(tmp_path, **tests))
    monkeypatch.setattr(rings, "SIDE_BY_SIDE", {})  # one test a ring
    assert rings.test(words, tmp_path, print) == code
    assert capsys.readouterr().out.splitlines()[-1] == total
    assert re.fullmatch(r"\d+ passed, \d+ failed, \d+ skipped", total)


def test_without_chromium_the_canvas_ring_fails_and_the_rest_counts(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(rings, "ROOT", project(tmp_path, core=PASSES, canvas=PASSES))
    monkeypatch.setattr(installation.shutil, "which", lambda name: None)
    assert rings.test(["core", "canvas"], tmp_path, print) == 1
    told = capsys.readouterr().out
    assert "apt-get install chromium" in told
    assert told.splitlines()[-1] == "1 passed, 1 failed, 0 skipped"


def test_ci_runs_the_tests_and_nothing_else():
    run = ROOT / ".ci" / "run"
    assert run.stat().st_mode & 0o111
    assert run.read_text().splitlines()[-1] == "exec python3 run.py test"
    assert subprocess.run(["bash", "-n", str(run)]).returncode == 0


def test_run_py_shows_its_commands():
    done = subprocess.run([sys.executable, str(ROOT / "run.py"), "-h"], capture_output=True, text=True)
    for command in ("demo", "film", "queue", "test", "bench", "mutants"):
        assert command in done.stdout


def test_what_each_command_needs(tmp_path, monkeypatch):
    import run

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def steps(*words):
        return [step.name for step in run.needed(parse(words)).environment.steps]

    plan = ("film", str(ROOT / "README.md"), "--plan")
    assert "test tools" in steps("bench", "laws") and "training" in steps("train", "tiny", "--out", "x")
    assert "json5" in steps(*plan)
    # What is there already is enough, also without a network.
    monkeypatch.setattr(Environment, "missing", lambda self: [])
    assert "torch" in steps(*plan)


def test_a_card_is_found_on_linux_and_on_wsl(tmp_path, monkeypatch):
    linux, wsl = tmp_path / "version", tmp_path / "libcuda.so.1"
    monkeypatch.setattr(server, "DRIVERS", (str(linux), str(wsl)))
    assert not server.has_gpu()
    wsl.touch()
    assert server.has_gpu()


def test_an_older_python_is_told_what_is_needed(monkeypatch, capsys):
    import run

    monkeypatch.setattr(run, "OLDEST", (9, 9))
    assert run.main() == 1
    assert "Python 9.9 or newer is needed" in capsys.readouterr().err
