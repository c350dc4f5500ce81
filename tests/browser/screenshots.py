"""Pictures of the review page for the documentation.

    python tests/browser/screenshots.py RUN DATA OUT.png VIDEO [FRAME]

DATA is copied first, since the picture shows an edit. docs/images/review.png is of what `lpose demo out=demo` makes: RUN is
demo/run, DATA demo/data, VIDEO session0.mp4.
"""

import runpy
import shutil
import sys
import tempfile
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
    page.driver.save_screenshot(str(out))
    with Image.open(out) as picture:
        small = picture.convert("RGB").quantize(256)
    small.save(out, optimize=True)


def main(run, data, out, video, frame=0):
    """Start the page and a browser, and write the picture."""
    tools = runpy.run_path(str(Path(__file__).with_name("conftest.py")))
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(data, Path(folder) / "data")
        server = tools["Server"](run, copy, f"source={copy / 'videos' / video}")
        browser = tools["chromium"]()
        try:
            review(next(browser), server.address, out, int(frame))
        finally:
            next(browser, None)
            server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
