"""What a user of the review page does, and what is in the label file afterwards."""

import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

selenium = pytest.importorskip("selenium", reason="browser tests need selenium: nox -s browser")
from selenium.webdriver.common.keys import Keys  # noqa: E402


def saved(page):
    page.key("s", Keys.CONTROL)
    page.until(lambda: page.text("save") == "Saved")


def test_the_frame_shown_is_the_frame_asked_for(page, start, world):
    page.open(start(world).address)
    page.key("m")  # without predictions over the numbers
    for frame in (5, 59, 58, 31, 0):
        page.go(frame)
        assert page.pixels() == frame
    for key, held, frame in ((Keys.ARROW_RIGHT, (), 1), (Keys.ARROW_RIGHT, (Keys.SHIFT,), 11), (Keys.END, (), 59),
                             (Keys.ARROW_LEFT, (), 58), (Keys.PAGE_UP, (), 0)):  # fmt: skip
        page.key(key, *held)
        page.until(lambda frame=frame: page.shown("frame") == str(frame))
        assert page.pixels() == frame
    for _ in range(20):  # faster than pictures come
        page.key(Keys.ARROW_RIGHT)
    page.until(lambda: page.shown("frame") == "20")
    assert page.pixels() == 20
    page.key("m")
    assert not page.problems()


def test_peaks_and_labeled_frames_are_found(page, start, world):
    page.open(start(world).address)
    page.key("]")
    page.until(lambda: page.shown("frame") == "3")
    assert page.shown("labeled") == "yes"
    page.script("document.querySelectorAll('.timeline .title')[2].click()")  # the jumps
    page.script("document.getElementById('canvas').focus()")
    page.key(".")
    page.until(lambda: page.shown("frame") == "30")


def test_correct_occlude_add_undo_save_reload(page, start, world):
    server = start(world)
    page.open(server.address)
    assert "token" not in page.driver.current_url
    page.go(7)
    assert page.shown("labeled") == "no"
    page.drag(0, 20, 10)  # the nose: the frame joins the labels
    page.until(lambda: page.shown("labeled") == "yes")
    assert "not saved" in page.text("edits")
    page.drag(1, 0, 8)
    page.key("z", Keys.CONTROL)
    page.until(lambda: "Undone" in page.text("status"))
    version = page.shown("version")
    page.key(Keys.TAB)  # from the tail to the paw
    page.key("o")
    page.until(lambda: page.shown("version") != version)
    assert "occluded" in page.text("keypoints")
    page.go(12)
    page.key("a")
    page.until(lambda: page.shown("labeled") == "yes")
    saved(page)
    keypoints, visibility = world.pose("labeled-data/mouse/img0007.png")
    assert np.allclose(keypoints[0], (37, 18), atol=0.5 / page.scale() + 1e-3) and visibility == [2, 2, 1]
    assert keypoints[1] == [27, 20]  # taken back
    assert world.pose("labeled-data/mouse/img0012.png") == ([[22, 8], [32, 20], [17, 40]], [2, 2, 2])
    with Image.open(world.root / "labeled-data/mouse/img0012.png") as image:
        columns = np.asarray(image.convert("L")).mean(0).reshape(12, 8).mean(1)
    assert sum(1 << bit for bit, level in enumerate(columns) if level > 125) == 12
    page.driver.refresh()
    page.until(lambda: page.shown("mode"))
    page.go(7)
    page.until(lambda: page.shown("labeled") == "yes")
    assert "occluded" in page.text("keypoints") and page.text("save") == "Saved"
    assert not page.problems()


def test_a_killed_server_keeps_what_was_not_saved(page, start, world):
    server = start(world)
    page.open(server.address)
    page.go(9)
    page.drag(0, 10, 10)
    server.stop(signal.SIGKILL)
    page.open(start(world).address)
    page.go(9)
    page.until(lambda: page.shown("labeled") == "yes")
    assert page.text("save") == "Save 1 frame"
    page.key("z", Keys.CONTROL)  # undo reaches back over the restart
    page.until(lambda: page.shown("labeled") == "no")


def test_keys_that_are_faster_than_answers_all_count(page, start, world):
    page.open(start(world).address)
    page.go(9)
    page.key(Keys.TAB)
    before = page.editable(0)
    page.keys([Keys.ARROW_RIGHT] * 20, Keys.ALT)
    page.until(lambda: page.idle())
    assert np.allclose(page.editable(0), np.add(before, (10, 0)), atol=1e-3)
    saved(page)
    assert np.allclose(world.pose("labeled-data/mouse/img0009.png")[0][0], np.add(before, (10, 0)), atol=1e-3)


def test_a_server_that_is_gone_is_said(page, start, world):
    server = start(world)
    page.open(server.address)
    page.go(9)
    server.stop(signal.SIGKILL)
    page.key("a")
    page.until(lambda: "start lpose review again" in page.text("status"))
    page.problems()


def test_two_tabs_see_each_others_edits(page, start, world):
    server = start(world)
    page.open(server.address)
    page.go(9)
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    try:
        page.open(server.address)
        page.go(9)
        page.drag(0, 5, 5)
        page.driver.switch_to.window(first)
        page.until(lambda: page.shown("labeled") == "yes")  # it asks every few seconds
        page.drag(2, 5, -5)
        saved(page)
    finally:
        page.driver.switch_to.window(page.driver.window_handles[-1])
        page.driver.close()
        page.driver.switch_to.window(first)
    found = world.pose("labeled-data/mouse/img0009.png")[0]
    assert np.allclose(found, [(24, 13), (29, 20), (19, 35)], atol=0.5 / page.scale() + 1e-3)


def test_labeled_frames_the_furthest_first(page, start, world):
    page.open(start(world).address)
    page.key("v")
    page.until(lambda: page.shown("mode") == "images")
    assert page.shown("image") == "1"  # 9 px off
    assert page.text("rows").splitlines()[1].startswith("labeled-data/mouse/img0010.png")
    page.drag(0, 5, 5)
    page.key(Keys.PAGE_DOWN)
    page.until(lambda: page.shown("image") == "2")
    saved(page)
    assert np.allclose(world.pose("labeled-data/mouse/img0010.png")[0][0], (16.5, 13), atol=0.5 / page.scale() + 1e-3)


def test_another_programs_change_is_asked_about(page, start, world):
    page.open(start(world).address)
    page.go(10)
    page.drag(0, 5, 5)
    path = world.root / "CollectedData.csv"
    path.write_text(path.read_text().replace("11.50,8.0", "44.0,44.0"))
    page.key("s", Keys.CONTROL)
    page.until(lambda: "Another program has changed" in page.text("banner"))
    assert "44.0,44.0" in path.read_text()
    page.script("document.querySelectorAll('#banner button')[1].click()")
    page.until(lambda: not page.text("banner"))
    assert page.text("save") == "Saved" and world.pose("labeled-data/mouse/img0010.png")[0][0] == [44, 44]


def test_a_stranger_sees_nothing(page, start, world):
    address = start(world).address
    page.driver.get(address.replace("token=", "token=x"))
    assert "Open the address with the token" in page.script("return document.body.innerText")
    page.problems()


def test_help_lists_the_keys(page, start, world):
    page.open(start(world).address)
    page.key("?")
    page.until(lambda: page.script("return document.getElementById('help').open"))
    assert "undo" in page.text("help")
    page.key(Keys.ESCAPE)
    page.until(lambda: not page.script("return document.getElementById('help').open"))


def test_the_picture_for_the_documentation(page, start, world, tmp_path):
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("screenshots", Path(__file__).with_name("screenshots.py"))
    screenshots = module_from_spec(spec)
    spec.loader.exec_module(screenshots)
    screenshots.review(page, start(world).address, tmp_path / "review.png", frame=3)
    with Image.open(tmp_path / "review.png") as picture:
        assert picture.size[0] > 1000 and len(set(picture.convert("L").resize((60, 40)).tobytes())) > 20
