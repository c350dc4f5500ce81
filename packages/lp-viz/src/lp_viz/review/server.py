"""The web application: the page's files, pictures, numbers, and edits."""

import json
import threading
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

import numpy as np
from lp_core import DataError
from lp_io import read_image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from lp_viz.review.facts import labeled_facts, project_facts, video_facts
from lp_viz.review.folder import inside
from lp_viz.review.frames import Cache, jpeg
from lp_viz.review.guard import Guard
from lp_viz.review.model import CONFIDENCE, Predictions
from lp_viz.review.project import Project, Video
from lp_viz.review.request import RequestError, place_of, point_from, start_of, whole
from lp_viz.review.series import envelope, peaks
from lp_viz.review.session import Place, Session

LIMIT = 16_384  # bytes of a request
BINS, POSES = 4096, 512  # of one answer, at most
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
Body = Mapping[str, Any]


def review_app(project: Project, session: Session | None, token: str, host: str = "127.0.0.1", port: int = 0) -> Guard:
    """The application, guarded.

    Args:
        session: None where labels cannot be edited.
        token: the secret in the page's address.
        host: as in `Guard`.
        port: as in `Guard`.
    """
    return Guard(ReviewServer(project, session).app, token, host, port)


class ReviewServer:
    """Answers the page's requests. Nothing that the page sends is used as a path."""

    def __init__(self, project: Project, session: Session | None) -> None:
        self.project, self.session = project, session
        self._images = Cache(64_000_000)
        self._peaks: dict[tuple[int, int, str, int | None], list[int]] = {}
        self._lock = threading.Lock()
        folder = files("lp_viz.review") / "static"
        self._static = {item.name: item.read_bytes() for item in folder.iterdir() if item.is_file()}
        gets: dict[str, Callable[[Request], Response]] = {
            "/": self._page, "/static/{name}": self._file, "/api/project": self._project, "/api/state": self._state,
            "/api/labeled": self._labeled, "/api/label": self._label, "/api/images/{image}": self._image,
            "/api/videos/{video}": self._video, "/api/videos/{video}/frames/{frame}": self._frame,
            "/api/videos/{video}/poses/{model}": self._poses, "/api/videos/{video}/series": self._series,
        }  # fmt: skip
        posts: dict[str, Callable[[Body], dict[str, Any]]] = {
            "/api/edit": self._edit, "/api/add": self._add, "/api/remove": self._remove, "/api/undo": self._undo,
            "/api/redo": self._redo, "/api/save": self._save, "/api/resolve": self._resolve,
        }  # fmt: skip
        routes = [Route(path, _answering(answer)) for path, answer in gets.items()]
        routes += [Route(path, _posted(self._editing(change)), methods=["POST"]) for path, change in posts.items()]
        self.app = Starlette(routes=routes)

    # the page

    def _page(self, request: Request) -> Response:
        return Response(self._static["index.html"], media_type="text/html")

    def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._static:
            return PlainTextResponse("There is no such file.", status_code=404)
        return Response(self._static[name], media_type=KINDS["." + name.rpartition(".")[2]])

    # what there is to see

    def _project(self, request: Request) -> Response:
        return JSONResponse(project_facts(self.project, self.session))

    def _video(self, request: Request) -> Response:
        number = whole(request.path_params, "video")
        return JSONResponse(video_facts(self._video_at(number), number, self.session))

    def _frame(self, request: Request) -> Response:
        number = whole(request.path_params, "frame")
        frames = self._video_at(whole(request.path_params, "video")).frames()
        return Response(frames.jpeg(number), media_type="image/jpeg", headers={"x-frame": str(number)})

    def _poses(self, request: Request) -> Response:
        table = self._predictions(request, whole(request.path_params, "model")).table
        start = whole(request.query_params, "start", 0, len(table.index))
        stop = min(len(table.index), start + whole(request.query_params, "count", 1, POSES))
        packed = np.concatenate([table.keypoints[start:stop], table.confidence[start:stop, :, None]], axis=-1)
        return Response(packed.astype("<f4").tobytes(), media_type="application/octet-stream")

    def _series(self, request: Request) -> Response:
        query, video = request.query_params, whole(request.path_params, "video")
        model, metric = whole(query, "model"), query.get("metric", "")
        predictions = self._predictions(request, model)
        count = len(predictions.table.keypoint_names)
        keypoint = whole(query, "keypoint", 0, count - 1) if "keypoint" in query else None
        series = predictions.series(metric, keypoint)
        start = whole(query, "start", 0, len(series))
        stop = whole(query, "stop", start, len(series))
        low, high = envelope(series, start, stop, whole(query, "bins", 1, BINS))
        key = (video, model, metric, keypoint)
        with self._lock:
            if key not in self._peaks:
                self._peaks[key] = peaks(series, metric == CONFIDENCE).tolist()
        return JSONResponse({"low": _listed(low), "high": _listed(high), "peaks": self._peaks[key]})

    def _labeled(self, request: Request) -> Response:
        return JSONResponse(labeled_facts(self.project, self.session))

    def _image(self, request: Request) -> Response:
        number = whole(request.path_params, "image")
        images = (
            self.session.images if self.session else list(self.project.labels.images if self.project.labels else ())
        )
        if number >= len(images) or self.project.labels is None:
            raise RequestError(f"There is no labeled image {number}.")
        path = inside(self.project.labels.root, images[number])
        where = self.session.where(images[number]) if self.session and not path.exists() else {}
        if "video" in where:  # added, and not saved yet
            data = self._video_at(where["video"]).frames().jpeg(where["frame"])
        else:
            data = self._images.get((str(path), 0)) or jpeg(read_image(path))
            self._images.put((str(path), 0), data)
        return Response(data, media_type="image/jpeg", headers={"x-image": str(number)})

    def _label(self, request: Request) -> Response:
        return JSONResponse(self._label_at(place_of(request.query_params)))

    def _state(self, request: Request) -> Response:
        if self.session is None:
            return JSONResponse({"version": 0})
        changed = self.session.refresh()
        return JSONResponse(self.session.state() | {"changed": changed})

    # edits

    def _edit(self, body: Body) -> dict[str, Any]:
        session, place = self._open(), place_of(body)
        keypoint = whole(body, "keypoint", 0, len(session.labels.keypoint_names) - 1)
        change = session.edit(place, keypoint, point_from(body), start_of(body))
        return {"where": session.where(change.image)}

    def _add(self, body: Body) -> dict[str, Any]:
        change = self._open().add(place_of(body), start_of(body))
        return {"where": self._open().where(change.image)}

    def _remove(self, body: Body) -> dict[str, Any]:
        return {"where": self._open().where(self._open().remove(whole(body, "image")).image)}

    def _undo(self, body: Body) -> dict[str, Any]:
        change = self._open().undo()
        return {"where": self._open().where(change.image), "what": change.what} if change else {}

    def _redo(self, body: Body) -> dict[str, Any]:
        change = self._open().redo()
        return {"where": self._open().where(change.image), "what": change.what} if change else {}

    def _save(self, body: Body) -> dict[str, Any]:
        return self._open().save()

    def _resolve(self, body: Body) -> dict[str, Any]:
        if body.get("keep") not in ("mine", "theirs"):
            raise RequestError("keep must be mine or theirs.")
        self._open().resolve(whole(body, "image"), body["keep"] == "mine")
        return {}

    # parts

    def _open(self) -> Session:
        if self.session is None:
            raise RequestError(self.project.reason or "The labels cannot be edited.")
        return self.session

    def _editing(self, change: Callable[[Body], dict[str, Any]]) -> Callable[[Body], dict[str, Any]]:
        return lambda body: change(body) | {"state": self._open().state()}

    def _video_at(self, number: int) -> Video:
        if number >= len(self.project.videos):
            raise RequestError(f"There is no video {number}.")
        return self.project.videos[number]

    def _predictions(self, request: Request, model: int) -> Predictions:
        video = self._video_at(whole(request.path_params, "video"))
        if model not in video.predictions():
            raise RequestError(f"Model {model} has no predictions of {video.path.name}.")
        return video.predictions()[model]

    def _label_at(self, place: Place) -> dict[str, Any]:
        labels = self.project.labels
        image = None
        if self.session:
            image = self.session.image_at(place)
            pose = self.session.pose(image) if image else None
        elif labels and place.image is not None and place.image < len(labels.images):
            image, pose = labels.images[place.image], _pose_of(labels, place.image)
        if image is None:
            return {"pose": None, "image": None}
        number = place.image if self.session is None else self.session.images.index(image)
        facts = {"pose": pose, "image": number, "name": image, "predictions": self._labeled_poses(image)}
        if self.session:
            facts |= {"added": image in self.session.edits.origins, "conflict": image in self.session.conflicts}
        return facts

    def _labeled_poses(self, image: str) -> dict[int, Any]:
        found = {}
        for model, table in self.project.labeled.items():
            if image in table.index:
                row = table.index.index(image)
                points = np.concatenate([table.keypoints[row], table.confidence[row][:, None]], axis=-1)
                found[model] = [_listed(point) for point in points]
        return found


def _pose_of(labels: Any, row: int) -> list[list[float | int | None]]:
    points = zip(labels.keypoints[row].tolist(), labels.visibility[row].tolist(), strict=True)
    return [[None if c != c else c for c in xy] + [flag] for xy, flag in points]


def _listed(values: np.ndarray) -> list[float | None]:
    return [None if value != value else round(value, 4) for value in values.tolist()]


def _answering(answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:  # not a coroutine: runs in a thread
        try:
            return answer(request)
        except (DataError, OSError) as e:
            return _complaint(e)

    return endpoint


def _posted(change: Callable[[Body], dict[str, Any]]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return _complaint(RequestError("The request must be JSON."))
        try:
            text = await _body(request)
            if text is None:
                return JSONResponse({"error": f"The request is longer than {LIMIT} bytes."}, status_code=413)
            body = json.loads(text)
            if not isinstance(body, dict):
                raise RequestError("The request must be a JSON object.")
            return JSONResponse(await run_in_threadpool(change, body))
        except (DataError, OSError) as e:
            return _complaint(e)
        except (ValueError, RecursionError):
            return _complaint(RequestError("The request is not JSON."))

    return endpoint


async def _body(request: Request) -> bytes | None:
    """All of it; None if it is too long, of which no more is read than that takes."""
    text = b""
    async for part in request.stream():
        text += part
        if len(text) > LIMIT:
            return None
    return text


def _complaint(error: Exception) -> Response:
    text = f"{error.filename}: {error.strerror}." if isinstance(error, OSError) and error.strerror else str(error)
    status = 400 if isinstance(error, RequestError) else 409
    return JSONResponse({"error": text}, status_code=status)
