"""The review page in a real Chromium."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=1440,900",
)  # fmt: skip


def module_at(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


made = module_at(ROOT / "packages" / "lp-viz" / "tests" / "conftest.py")
world, deeplabcut, scene = made.world, made.deeplabcut, made.scene


class Server:
    """`lpose review`, started as a user does."""

    def __init__(self, run, root, *more):
        words = [f"run={run}", f"data.root={root}", *more]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lp_apps.main", "review", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )  # fmt: skip
        assert self.process.stdout
        for line in self.process.stdout:
            if found := re.match(r"page +(http\S+)", line):
                self.address = found[1]
                return
        raise AssertionError(self.process.communicate()[1])

    def stop(self, how=signal.SIGINT):
        self.process.send_signal(how)
        self.process.wait(15)


class Page:
    """A browser, and what a user does with it."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, address):
        self.driver.get("about:blank")
        self.problems()  # of the page before, whose server has ended
        self.driver.get(address)
        self.until(lambda: self.shown("mode"))

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def shown(self, name):
        """What the canvas says about the picture drawn on it."""
        return self.script("return document.getElementById('canvas')?.dataset[arguments[0]] || ''", name)

    def until(self, condition, seconds=30):
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, self.text("status")
            time.sleep(0.03)
        return found

    def text(self, identity):
        return self.script("return document.getElementById(arguments[0])?.innerText || ''", identity)

    def key(self, key, *held):
        from selenium.webdriver.common.action_chains import ActionChains

        chain = ActionChains(self.driver, duration=0)
        for one in held:
            chain.key_down(one)
        chain.send_keys(key)
        for one in reversed(held):
            chain.key_up(one)
        chain.perform()

    def keys(self, keys, held):
        """Several keys in one go, as fast as the browser takes them."""
        from selenium.webdriver.common.action_chains import ActionChains

        chain = ActionChains(self.driver, duration=0).key_down(held)
        for key in keys:
            chain.send_keys(key)
        chain.key_up(held).perform()

    def editable(self, keypoint):
        """Where a point is in the image."""
        return self.script("return (await import('/static/view.js')).editable()[arguments[0]];", keypoint)

    def idle(self):
        """Whether all edits are answered, and shown."""
        shown = "return (await import('/static/state.js')).S.session.version == document.getElementById('canvas').dataset.version"
        return self.text("save").startswith("Save ") and self.script(shown)

    def go(self, frame):
        """Type a frame's number."""
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys

        self.key("g")
        self.driver.find_element(By.ID, "place").send_keys(str(frame), Keys.ENTER)
        self.until(lambda: self.shown("frame") == str(frame))

    def point(self, keypoint):
        """Where a point is on the screen; None if it is not drawn."""
        return self.script(
            "const view = await import('/static/view.js'); const point = view.editable()[arguments[0]];"
            "const box = document.getElementById('canvas').getBoundingClientRect();"
            "if (!point) return null; const [x, y] = view.toScreen(point); return [x + box.left, y + box.top];", keypoint,
        )  # fmt: skip

    def drag(self, keypoint, dx, dy):
        """Drag a point by image pixels; what arrived."""
        from selenium.webdriver.common.action_chains import ActionChains

        x, y = map(round, self.point(keypoint))
        scale = self.scale()
        version = self.shown("version")
        chain = ActionChains(self.driver, duration=20)
        mouse = chain.w3c_actions.pointer_action
        mouse.move_to_location(x, y).pointer_down().move_to_location(x + round(dx * scale / 2), y).move_to_location(
            x + round(dx * scale), y + round(dy * scale)
        ).pointer_up()
        chain.perform()
        self.until(lambda: self.shown("version") != version)

    def scale(self):
        return self.script(
            "const v = await import('/static/view.js'); return v.toScreen([1, 0])[0] - v.toScreen([0, 0])[0];"
        )

    def pixels(self):
        """The number that the picture on the canvas shows: the median grey of twelve columns."""
        levels = self.script(
            "const v = await import('/static/view.js'); const c = document.getElementById('canvas'); const r = devicePixelRatio;"
            "const g = c.getContext('2d'); return [...Array(12).keys()].map((i) => { const found = [];"
            "for (let y = 1; y < 47; y += 3) { const [sx, sy] = v.toScreen([8 * i + 3.5, y]);"
            "found.push(g.getImageData(Math.round(sx * r), Math.round(sy * r), 1, 1).data[0]); }"
            "return found.sort((a, b) => a - b)[8]; });"
        )  # fmt: skip
        return sum(1 << bit for bit, level in enumerate(levels) if level > 125)

    def problems(self):
        """What the browser complained about, but for our own reading of pixels."""
        found = [entry["message"] for entry in self.driver.get_log("browser")]
        return [text for text in found if "willReadFrequently" not in text]


def chromium():
    """A browser with a profile of its own; ends when asked for the next."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="browser tests need selenium: nox -s browser")
    pytest.importorskip("uvicorn", reason="browser tests need the extra lp-viz[review]: nox -s browser")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("browser tests need Chromium: apt-get install chromium chromium-driver")
    profile = tempfile.mkdtemp()
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield Page(browser)
    browser.quit()
    shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture(scope="session")
def page():
    yield from chromium()


@pytest.fixture
def start():
    """Starts servers, and ends them with the test."""
    servers = []

    def begin(project, *more):
        servers.append(Server(project.run, project.root, *more))
        return servers[-1]

    yield begin
    for server in servers:
        if server.process.poll() is None:
            os.kill(server.process.pid, signal.SIGKILL)
            server.process.wait()
