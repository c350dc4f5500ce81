"""What the server answers, and whom it answers at all."""

import http.client
import json
import socket
import struct
import threading
import time

import cv2
import numpy as np
import pytest
from lp_core import ConfigError
from lp_viz.review.project import ReviewOptions, open_review
from lp_viz.review.session import Session

pytest.importorskip("starlette", reason="the review page needs the extra lp-viz[review]")
uvicorn = pytest.importorskip("uvicorn", reason="the review page needs the extra lp-viz[review]")
from lp_viz.review.serve import _listen  # noqa: E402
from lp_viz.review.server import review_app  # noqa: E402

TOKEN = "the-token"


class Page:
    """A server, and the requests of a browser that was given the address."""

    def __init__(self, world, editable=True, host="127.0.0.1"):
        self.project = open_review(ReviewOptions(run=world.run, root=world.root))
        self.session = Session(self.project, self.project.labels) if editable else None
        self.listening = _listen("127.0.0.1", 0)
        self.port = self.listening.getsockname()[1]
        app = review_app(self.project, self.session, TOKEN, host, self.port)
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listening]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.cookie = self.ask("GET", f"/?token={TOKEN}", cookie=None)[1]["set-cookie"].partition(";")[0]

    def ask(self, method, path, body=None, cookie="ours", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if cookie:
            given["Cookie"] = self.cookie if cookie == "ours" else cookie
        if isinstance(body, dict):
            body = json.dumps(body)
            given.setdefault("Content-Type", "application/json")
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.headers, content

    def get(self, path, **headers):
        status, _, content = self.ask("GET", path, **headers)
        return status, json.loads(content) if content[:1] in b"{[" else content

    def post(self, path, body, **headers):
        status, _, content = self.ask("POST", path, body, **headers)
        return status, json.loads(content) if content[:1] in b"{[" else content

    def close(self):
        self.server.should_exit = True
        self.thread.join(10)
        self.project.close()
        if self.session:
            self.session.close()


@pytest.fixture
def page(world):
    opened = Page(world)
    yield opened
    opened.close()


EVERYTHING = (
    "/",
    "/static/main.js",
    "/api/project",
    "/api/videos/0",
    "/api/videos/0/frames/3",
    "/api/images/0",
    "/api/state",
)


@pytest.mark.parametrize("path", EVERYTHING)
def test_without_the_token_there_is_nothing(page, path):
    name = page.cookie.partition("=")[0]
    assert page.ask("GET", path)[0] == 200
    for cookie in (
        None,
        f"{name}=",
        f"{name}={TOKEN}",
        f"{name}=x; other=y",
        f"lpose_review_1={page.cookie.partition('=')[2]}",
    ):
        assert page.ask("GET", path, cookie=cookie)[0] == 403
    for query in ("?token=", "?token=wrong", "?token=the-toke", f"?token={TOKEN}&token={TOKEN}", f"?Token={TOKEN}"):
        assert page.ask("GET", path + query, cookie=None)[0] == 403
    expected = 200 if path == "/" else 403  # the token opens the page, and nothing else
    assert page.ask("GET", f"{path}?token={TOKEN}", cookie=None)[0] == expected


def test_the_cookie_and_the_headers(page):
    _, headers, _ = page.ask("GET", f"/?token={TOKEN}", cookie=None)
    cookie = headers["set-cookie"]
    assert TOKEN not in cookie and {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
    for path in (f"/?token={TOKEN}", "/api/project", "/static/main.js", "/nothing"):
        headers = page.ask("GET", path)[1]
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["referrer-policy"] == "no-referrer" and headers["x-content-type-options"] == "nosniff"


def test_other_hosts_and_origins_are_refused(page):
    local = f"127.0.0.1:{page.port}"
    for host in (
        "evil.example",
        f"evil.example:{page.port}",
        "127.0.0.1.evil.example",
        "[::2]",
        "",
        "localhost.evil",
        "169.254.1.1",
    ):
        assert page.ask("GET", "/api/project", Host=host)[0] in (400, 403)
        assert page.ask("GET", f"/?token={TOKEN}", Host=host)[0] in (400, 403)
    assert page.ask("GET", "/api/project", Host="localhost:9000")[0] == 200  # through an ssh tunnel
    for origin in (
        "http://evil.example",
        "null",
        f"https://{local}",
        "http://127.0.0.1:1",
        f"http://localhost:{page.port}",
    ):
        assert page.post("/api/undo", {}, Origin=origin)[0] == 403
        assert page.get("/api/project", Origin=origin)[0] == 403
    assert page.post("/api/undo", {}, Origin=f"http://{local}")[0] == 200
    for site in ("cross-site", "same-site"):
        assert page.get("/api/project", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate")[0] == 403
        assert page.post("/api/undo", {}, Sec_Fetch_Site=site)[0] == 403
        assert page.ask("GET", "/", Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors")[0] == 403
    assert (
        page.ask("GET", f"/?token={TOKEN}", cookie=None, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0]
        == 200
    )


def test_bound_to_all_addresses_names_of_strangers_are_still_refused(world):
    page = Page(world, host="0.0.0.0")
    assert page.get("/api/project", Host="192.168.1.7:80")[0] == 200  # a number cannot be made to point here
    assert page.get("/api/project", Host="evil.example")[0] == 403
    page.close()


def raw(page, target: str) -> int:
    """The answer's status to a request line that no client library would send."""
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as link:
        link.sendall(
            f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {page.cookie}\r\nConnection: close\r\n\r\n".encode()
        )
        return int(link.recv(4096).split()[1])


@pytest.mark.parametrize(
    "target",
    ["/static/../server.py", "/static/..%2fserver.py", "/static/%2e%2e%2fserver.py", "/static//etc/passwd",
     "/static/%2fetc%2fpasswd", "/../../etc/passwd", "/api/videos/..%2f..%2fetc%2fpasswd", "/api/videos/0/frames/..%2f1",
     "/api/images/..%2f..%2fetc%2fpasswd", "/api/images/%2fetc%2fpasswd",
     "/api/videos/-1", "/api/videos/1", "/api/images/99", "/api/videos/0/frames/60",
     "/api/videos/0/frames/1e3", "/api/videos/0/frames/99999999999999999999", "/static/index.html%00.js"],
)  # fmt: skip
def test_nothing_but_what_is_on_the_lists_is_read(page, target):
    assert raw(page, target) in (400, 404, 409)


def test_images_that_lead_out_are_not_shown(world, tmp_path):
    from PIL import Image

    Image.new("RGB", (96, 48)).save(tmp_path / "private.png")
    image = world.root / "labeled-data/mouse/img0003.png"
    image.unlink()
    image.symlink_to(tmp_path / "private.png")
    text = (world.root / "CollectedData.csv").read_text()
    (world.root / "CollectedData.csv").write_text(text.replace("labeled-data/mouse/img0010.png", "../private.png", 1))
    page = Page(world)
    assert page.get("/api/images/0")[0] == page.get("/api/images/1")[0] == 409
    assert "leads out" in page.get("/api/images/1")[1]["error"]
    assert page.get("/api/images/2")[0] == 200
    assert page.post("/api/edit", {"image": 1, "keypoint": 0, "x": 1, "y": 1, "visibility": 2})[0] == 409
    page.close()


LABEL = {"image": 0, "keypoint": 0, "visibility": 2}
WRONG = [
    {}, {"video": 0}, {"video": "../x", "frame": 0}, {"video": True, "frame": 0}, {"video": 0, "frame": -1},
    {"video": 0, "frame": 1.5}, {"image": "labeled-data/mouse/img0003.png"}, {"image": None}, {"image": 10**12},
    LABEL | {"keypoint": 3}, LABEL | {"visibility": 3}, LABEL, LABEL | {"x": "1", "y": 2}, LABEL | {"x": None, "y": 2},
    LABEL | {"x": [1], "y": 2}, LABEL | {"x": True, "y": 2},
    {"video": 0, "frame": 5, "keypoint": 0, "visibility": 0, "model": -1},
]  # fmt: skip


def test_requests_are_checked_and_bounded(page):
    for body in WRONG:
        status, answer = page.post("/api/edit", body)
        assert status == 400 and answer["error"], body
    for body in (
        "",
        "[]",
        "1",
        "{",
        '{"image": 0, "keypoint": 0, "visibility": 2, "x": NaN, "y": 1}',
        b"\xff",
        "[" * 16_000,
    ):
        assert page.post("/api/edit", body, Content_Type="application/json")[0] == 400, body
    good = {"image": 0, "keypoint": 0, "visibility": 2, "x": 1, "y": 1}
    assert page.post("/api/edit", json.dumps(good), Content_Type="text/plain")[0] == 400
    assert page.post("/api/edit", good | {"more": "x" * 20_000})[0] == 413
    assert page.post("/api/resolve", {"image": 0, "keep": "all"})[0] == 400
    for query in ("", "model=0&metric=no&start=0&stop=9&bins=5", "model=0&metric=confidence&start=9&stop=3&bins=5",
                  "model=9&metric=confidence&start=0&stop=9&bins=5",
                  "model=0&metric=confidence&start=0&stop=9&bins=9999"):  # fmt: skip
        assert page.get(f"/api/videos/0/series?{query}")[0] in (400, 409)
    assert page.get("/api/state")[1]["dirty"] == 0
    assert page.ask("GET", "/api/save")[0] == 405 and page.ask("POST", "/api/project", {})[0] == 405


def test_what_the_page_shows(page, scene):
    project = page.get("/api/project")[1]
    assert (
        project["keypoints"] == list(scene.names)
        and project["editable"]
        and project["videos"] == [{"name": "mouse.mp4"}]
    )
    video = page.get("/api/videos/0")[1]
    assert (video["frames"], video["height"], video["width"], video["labeled"]) == (60, *scene.size, [3, 10, 40])
    assert video["models"]["0"]["metrics"] == ["confidence", "temporal_norm"]
    values = struct.unpack("<18f", page.get("/api/videos/0/poses/0?start=30&count=2")[1])
    table = scene.predictions()
    assert np.allclose(np.reshape(values, (2, 3, 3))[..., :2], table.keypoints[30:32])
    series = page.get("/api/videos/0/series?model=0&metric=confidence&start=0&stop=60&bins=60&keypoint=1")[1]
    assert series["peaks"] == [21] and series["low"][21] == pytest.approx(0.02)
    jumps = page.get("/api/videos/0/series?model=0&metric=temporal_norm&start=0&stop=60&bins=6")[1]
    assert jumps["high"][3] == pytest.approx(np.hypot(1, 15), abs=1e-3) and 30 in jumps["peaks"]
    rows = page.get("/api/labeled")[1]
    shown = [(row["error"], row["keypoint"], row["set"]) for row in rows]
    assert shown == [(2, "paw", "train"), (9, "nose", "test"), (3, "nose", "train")]


def test_edit_undo_save_and_read_back(page, world):
    body = {"video": 0, "frame": 21, "keypoint": 1, "x": 40.5, "y": 20, "visibility": 1, "model": 0, "floor": 0.1}
    status, answer = page.post("/api/edit", body)
    assert status == 200 and answer["where"]["frame"] == 21 and answer["state"]["dirty"] == 1
    label = page.get("/api/label?video=0&frame=21")[1]
    assert label["pose"] == [[31, 8, 2], [40.5, 20, 1], [26, 40, 2]] and label["added"]
    assert page.post("/api/undo", {})[1]["state"]["frames"][0]["gone"]
    assert page.get("/api/label?video=0&frame=21")[1]["pose"] is None
    page.post("/api/redo", {})
    assert page.post("/api/save", {})[1]["saved"] == 1
    assert world.pose("labeled-data/mouse/img0021.png") == ([[31, 8], [40.5, 20], [26, 40]], [2, 1, 2])
    assert page.get(f"/api/images/{answer['where']['image']}")[0] == 200


def test_an_added_frame_is_among_the_labeled_ones_before_it_is_saved(page, scene):
    image = page.post("/api/add", {"video": 0, "frame": 21})[1]["where"]["image"]
    assert [row["image"] for row in page.get("/api/labeled")[1]] == [0, 1, 2, image]
    shown = cv2.imdecode(np.frombuffer(page.get(f"/api/images/{image}")[1], np.uint8), cv2.IMREAD_COLOR)
    assert scene.number_in(shown) == 21
    assert page.post("/api/edit", {"image": image, "keypoint": 0, "x": 3, "y": 4, "visibility": 2})[0] == 200
    assert page.get("/api/label?video=0&frame=21")[1]["pose"][0] == [3, 4, 2]
    assert page.post("/api/edit", {"image": image, "keypoint": 0, "x": 97, "y": 4, "visibility": 2})[0] == 409


def test_without_labels_there_is_still_something_to_see(world):
    page = Page(world, editable=False)
    assert not page.get("/api/project")[1]["editable"]
    assert page.get("/api/label?image=0")[1]["pose"][0] == [10.5, 8.0, 2]
    assert page.post("/api/add", {"video": 0, "frame": 5})[0] == 400
    page.close()


def test_a_taken_port_is_said(page):
    with pytest.raises(ConfigError, match="leave port out"):
        _listen("127.0.0.1", page.port)
