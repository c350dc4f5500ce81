"""Pictures of the review page, a report and TensorBoard for the documentation.

    python tests/browser/screenshots.py RUN DATA FOLDER VIDEO [FRAME]

writes review.png, report.png and tensorboard.png into FOLDER. DATA is copied first, since the first picture shows an edit.
docs/images has them of the demo's scene: RUN is demo/run, DATA demo/data, VIDEO session0.mp4; of TensorBoard with the two
runs of the newcomer's page.
"""

import runpy
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from PIL import Image


def review(page, address, out, frame):
    """The page at `frame`, one point selected and one moved, as a PNG."""
    page.open(address)
    page.go(frame)
    drawn = [k for k in range(page.script("return document.querySelectorAll('#keypoints li').length")) if page.point(k)]
    page.drag(drawn[0], -6, 7)
    page.until(lambda: page.shown("labeled") == "yes")
    page.until(lambda: page.script("return document.getElementById('save').textContent.startsWith('Save ')"))
    page.script("document.getElementById('status').textContent = ''")
    picture(page, out)


def report(page, file, out):
    """The head of a report that is opened from disk."""
    page.driver.get(Path(file).resolve().as_uri())
    page.until(
        lambda: page.script("return document.readyState == 'complete' && document.querySelectorAll('h2').length")
    )
    picture(page, out)


def tensorboard(page, run, out):
    """The scalars of a run, in a TensorBoard that is started and ended again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    words = ["--logdir", str(run), "--host", "127.0.0.1", "--port", str(port), "--load_fast", "false"]
    server = subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    before = page.driver.get_window_size()
    try:
        page.driver.set_window_size(1440, 1300)
        page.until(lambda: server.poll() is None and _answers(address + "data/runs"), seconds=60)
        page.driver.get(address + "?darkMode=false#timeseries")
        page.until(
            lambda: page.script("return document.querySelectorAll('scalar-card svg path, scalar-card canvas').length"),
            60,
        )
        page.script("document.querySelector('button.settings-button, .settings-button button')?.click()")  # makes room
        time.sleep(3)  # curves are drawn after their frames
        picture(page, out)
    finally:
        page.driver.set_window_size(before["width"], before["height"])
        server.terminate()
        server.wait(15)


def _answers(address):
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.read() not in (b"", b"[]")
    except (urllib.error.URLError, OSError):
        return False


def picture(page, out):
    """What the browser shows, as a small PNG."""
    page.driver.save_screenshot(str(out))
    with Image.open(out) as shown:
        small = shown.convert("RGB").quantize(256, kmeans=4)  # so that small marks keep their colours too
    small.save(out, optimize=True)


def main(run, data, folder, video, frame=0):
    """Start a browser and what is looked at, and write the pictures."""
    from lp_apps.main import main as lpose

    tools, folder = runpy.run_path(str(Path(__file__).with_name("conftest.py"))), Path(folder)
    with tempfile.TemporaryDirectory() as work:
        copy = shutil.copytree(data, Path(work) / "data")
        assert not lpose(["report", f"run={run}", f"data.root={copy}", f"out={work}/report.html"])
        server = tools["Server"](run, copy, f"source={copy / 'videos' / video}")
        browser = tools["chromium"]()
        try:
            page = next(browser)
            review(page, server.address, folder / "review.png", int(frame))
            report(page, Path(work) / "report.html", folder / "report.png")
            tensorboard(page, run, folder / "tensorboard.png")
        finally:
            next(browser, None)
            server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
