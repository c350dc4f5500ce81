"""What the page is told about the project, a video, and the labeled frames."""

from typing import Any

from lp_viz.colors import keypoint_colors, pose_colors
from lp_viz.review.project import Furthest, Project, Video
from lp_viz.review.session import Session


def project_facts(project: Project, session: Session | None) -> dict[str, Any]:
    """Names, colours, and whether labels can be edited."""
    labels = project.labels
    names = list(labels.keypoint_names if labels else _predicted_names(project))
    models = zip(project.models, keypoint_colors(len(project.models)), strict=True)
    return {
        "models": [{"name": model.name, "color": color} for model, color in models],
        "videos": [{"name": video.path.name} for video in project.videos],
        "keypoints": names, "colors": pose_colors(names, len(names)) if names else [],
        "skeleton": labels.skeleton if labels else [], "root": str(labels.root) if labels else "",
        "animals": list(labels.animals.individuals) if labels and labels.animals else [],
        "editable": session is not None, "reason": project.reason, "notes": project.notes,
        "occluded": bool(session and session.store.keeps_occluded),
    }  # fmt: skip


def video_facts(video: Video, number: int, session: Session | None) -> dict[str, Any]:
    """Length, size, timelines, and which frames are labeled."""
    frames, predictions = video.frames(), video.predictions()
    return {
        "name": video.path.name, "frames": frames.count, "height": frames.size[0], "width": frames.size[1], "fps": frames.fps,
        "models": {
            model: {"metrics": found.names, "keypoints": found.table.keypoint_names}
            for model, found in predictions.items()
        },
        "labeled": session.labeled_frames(number) if session else [], "notes": video.notes,
    }  # fmt: skip


def labeled_facts(project: Project, session: Session | None) -> list[dict[str, Any]]:
    """Every labeled image with the distance of the furthest keypoint to its label, in pixels."""
    images = session.images if session else (project.labels.images if project.labels else ())
    rows = []
    for number, image in enumerate(images):
        error = project.errors.get(image, Furthest())
        if session and session.pose(image) is None:
            continue
        distance = None if error.distance is None else round(error.distance, 2)
        rows.append({"image": number, "name": image, "error": distance, "keypoint": error.keypoint, "set": error.part})
    return rows


def _predicted_names(project: Project) -> tuple[str, ...]:
    """Keypoints of the first video that a model has predicted."""
    for video in project.videos[:1]:
        for predictions in video.predictions().values():
            return predictions.table.keypoint_names
    return ()
