"""COCO keypoints JSON, with one annotation for each animal in an image."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lp_core import NOT_LABELED, DataError, LabelFormatConfig, LabelSet

from lp_io.animals import SINGLE, flat_edges, identities, part_edges, pooled

Category = dict[str, Any]
OTHER_PART = {"train": "test", "test": "train"}


@dataclass(frozen=True, slots=True)
class _Found:
    """An annotation with a label: the row of its image, its track, and x, y, flag of its keypoints."""

    row: int
    track: Any
    x_y_v: np.ndarray


class Coco:
    """Reads `annotations/*.json` (or a JSON in the root) with images in `images/` or relative to the root.

    Of several animals, `track_id` says which is which (see `lp_io.animals.identities`) and `info.individuals` names them. A
    second category called `single` has the points that an image has once. `train.json` and `test.json` are two parts of one
    project: an image has as many animals as one of either.
    """

    def detect(self, root: Path) -> bool:
        """A JSON file whose beginning looks like COCO."""
        return bool(self._files(root))

    def read(self, root: Path, file: str | None = None) -> LabelSet:
        """Read `root/file`, by default the only annotation file or the one named `train.json`."""
        path = root / file if file else self._default(root)
        content = _load(path)
        animal, unique = _categories(path, content)
        parts, points = tuple(animal["keypoints"]), tuple(unique["keypoints"] if unique else ())
        found, once = _annotations(path, content, animal, unique)
        individuals, numbers = _individuals(content, found)
        individuals = max(individuals, _in_other_part(path), key=len)
        x_y_v = np.full((len(content["images"]), max(len(individuals), 1) * len(parts) + len(points), 3), np.nan)
        x_y_v[..., 2] = NOT_LABELED
        for one, number in zip(found, numbers, strict=True):
            x_y_v[one.row, number * len(parts) : (number + 1) * len(parts)] = one.x_y_v
        for one in once:
            x_y_v[one.row, len(x_y_v[0]) - len(points) :] = one.x_y_v
        edges = [pair for category in (animal, unique or {}) for pair in _edges(category)]
        animals = pooled(individuals, parts, points, part_edges(parts, edges))
        names = animals.keypoint_names if animals else (*parts, *points)
        return LabelSet(
            root=root, source=path, images=tuple(_image_path(root, i["file_name"]) for i in content["images"]),
            keypoint_names=names, keypoints=np.where(x_y_v[..., 2:] > NOT_LABELED, x_y_v[..., :2], np.nan),
            visibility=x_y_v[..., 2].astype(np.int64), animals=animals,
            skeleton=flat_edges(animals, edges) if animals else part_edges(names, edges),
        )  # fmt: skip

    def _files(self, root: Path) -> list[Path]:
        candidates = sorted([*root.glob("annotations/*.json"), *root.glob("*.json")])
        return [p for p in candidates if _looks_like_coco(p)]

    def _default(self, root: Path) -> Path:
        files = self._files(root)
        named = [p for p in files if p.stem == "train"]
        if len(files) != 1 and len(named) != 1:
            raise DataError(f"{root} has {len(files)} COCO files; choose one with data.labels=FILE.")
        return (named or files)[0]


def _categories(path: Path, content: dict[str, Any]) -> tuple[Category, Category | None]:
    """The animals' category, and that of unique points."""
    found = [c for c in content.get("categories", []) if c.get("keypoints")]
    unique = next((c for c in found if c.get("name") == SINGLE), None) if len(found) == 2 else None
    animals = [c for c in found if c is not unique]
    if len(animals) != 1:
        raise DataError(
            f"{path} must have exactly one category with keypoints (and, for points an image has once, one called {SINGLE}), "
            f"not {len(found)}."
        )
    return animals[0], unique


def _annotations(
    path: Path, content: dict[str, Any], animal: Category, unique: Category | None
) -> tuple[list[_Found], list[_Found]]:
    """Labeled animals in file order, and labeled unique points."""
    rows = {image["id"]: row for row, image in enumerate(content["images"])}
    own = {"id": animal.get("id"), "found": list[_Found](), "names": animal["keypoints"]}
    once = {"id": unique["id"], "found": list[_Found](), "names": unique["keypoints"]} if unique else None
    for annotation in content["annotations"]:
        kind = once if once and annotation.get("category_id") == once["id"] else own
        if annotation.get("category_id", kind["id"]) != kind["id"]:
            continue
        one = _Found(_row(path, annotation, rows), _track(annotation), _points(path, annotation, len(kind["names"])))
        if (one.x_y_v[:, 2] > NOT_LABELED).any():
            kind["found"].append(one)
    return own["found"], once["found"] if once else []


def _row(path: Path, annotation: dict[str, Any], rows: dict[int, int]) -> int:
    image = annotation.get("image_id")
    if image not in rows:
        raise DataError(f"{path}: annotation {annotation.get('id')} is of image {image}, which the file does not list.")
    return rows[image]


def _points(path: Path, annotation: dict[str, Any], count: int) -> np.ndarray:
    flat = np.asarray(annotation.get("keypoints", []), dtype=np.float64)
    if flat.size != 3 * count:
        raise DataError(f"{path}: annotation {annotation.get('id')} has {flat.size} keypoint values, not {3 * count}.")
    return flat.reshape(-1, 3)


def _track(annotation: dict[str, Any]) -> Any:
    """Under the names that sleap-io and CVAT give it."""
    named = (
        annotation.get("track_id"),
        (annotation.get("attributes") or {}).get("object_id"),
        annotation.get("instance_id"),
    )
    return next((value for value in named if isinstance(value, int | str)), None)


def _individuals(content: dict[str, Any], found: list[_Found]) -> tuple[tuple[str, ...], list[int]]:
    """Names, and which individual each annotation is of."""
    listed = [str(name) for name in (content.get("info") or {}).get("individuals") or []]
    ids: list[Any] = list(range(1, len(listed) + 1)) if listed else sorted({f.track for f in found}, key=_order)
    names = listed or [f"individual{i + 1}" for i in range(len(ids))]
    of = dict(zip(ids, names, strict=True))
    tracks = [None if one.track is None else of.get(one.track) for one in found]
    return identities([one.row for one in found], tracks, names, listed=bool(listed))


def _in_other_part(path: Path) -> tuple[str, ...]:
    """Names of the individuals in `test.json` beside `train.json`, or the other way round."""
    other = path.with_stem(OTHER_PART.get(path.stem, path.stem))
    if other == path or not has_annotations(other):
        return ()
    content = _load(other)
    return _individuals(content, _annotations(other, content, *_categories(other, content))[0])[0]


def _order(track: Any) -> tuple[str, Any]:
    return type(track).__name__, track


def _edges(category: Category) -> list[tuple[str, str]]:
    names = category.get("keypoints") or []
    return [(names[a - 1], names[b - 1]) for a, b in category.get("skeleton") or []]  # COCO counts from one


def has_annotations(path: Path) -> bool:
    """Whether there is such a file, and it has any: lists of test images may have none."""
    return _looks_like_coco(path) and bool(_load(path)["annotations"])


def _looks_like_coco(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; give the annotation file with data.labels=FILE.") from None
    except ValueError as e:
        raise DataError(f"{path} is not valid JSON: {e}.") from e
    if not isinstance(content, dict) or not {"images", "annotations", "categories"} <= content.keys():
        raise DataError(f"{path} is not a COCO file: it needs images, annotations and categories.")
    return content


def _image_path(root: Path, name: str) -> str:
    return name if Path(name).is_absolute() or not (root / "images" / name).exists() else f"images/{name}"


@dataclass(slots=True, kw_only=True)
class CocoConfig(LabelFormatConfig):
    """COCO keypoints JSON, one animal per image or several."""

    def build(self) -> Coco:
        """The reader."""
        return Coco()
