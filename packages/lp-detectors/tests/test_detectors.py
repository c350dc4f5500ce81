from pathlib import Path

import pytest
import torch
from lp_core import ConfigError, detectors
from lp_core.testing.detector import DetectorContract
from lp_detectors.boxes import overlap
from lp_detectors.centers_targets import cells, encode
from torch import Tensor, nn
from torchvision.models import detection, get_model_weights

BARE = {"pretrained": False, "threshold": 0.0}
TORCHVISION = ["ssdlite", "fasterrcnn_mobilenet_v3_large_fpn", "fasterrcnn_resnet50_fpn_v2"]
NETWORKS = dict(zip(TORCHVISION, ["ssdlite320_mobilenet_v3_large", *TORCHVISION[1:]], strict=True))


class TestCenters(DetectorContract):
    name = "centers"
    options = {"threshold": 0.0}  # noqa: RUF012


class TestCentersOfSmallAnimals(DetectorContract):
    name = "centers"
    options = {"threshold": 0.0, "stride": 4, "width": 0.5}  # noqa: RUF012


class TestSsdlite(DetectorContract):
    name = "ssdlite"
    options = BARE


class TestFasterRcnn(DetectorContract):
    name = "fasterrcnn_mobilenet_v3_large_fpn"
    options = BARE


def scene(count: int, size: tuple[int, int], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noise with up to two bright rectangles, one in each half, whose sides lie between pixels."""
    g = torch.Generator().manual_seed(seed)
    height, width = size
    images = 90 + 10 * torch.randn(count, 3, height, width, generator=g)
    boxes = torch.full((count, 2, 4), torch.nan)
    for i in range(count):
        for half in range(1 + i % 2):
            w, h = torch.randint(width // 6, width // 3, (2,), generator=g).tolist()
            left = half * width // 2 + int(torch.randint(0, width // 2 - w, (1,), generator=g))
            top = int(torch.randint(0, height - h, (1,), generator=g))
            images[i, :, top : top + h, left : left + w] += 110
            boxes[i, half] = torch.tensor([left, top, left + w, top + h]) - 0.5
    return images.clamp(0, 255).round(), boxes


def train(net: nn.Module, images: Tensor, boxes: Tensor, steps: int, rate: float) -> list[float]:
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], rate)
    losses = []
    for _ in range(steps):
        loss = net.loss(images, boxes)  # pyright: ignore[reportCallIssue]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return losses


def test_centers_finds_what_it_has_learned():
    torch.manual_seed(0)
    images, boxes = scene(6, (96, 128))
    net = detectors.make("centers", width=0.75).build(image_size=(96, 128), animals=2).train()
    train(net, images, boxes, steps=120, rate=2e-3)
    with torch.no_grad():
        found, scores = net.eval()(images.to(torch.uint8))
    exists = boxes.isfinite().all(-1)
    assert overlap(boxes, found).amax(-1)[exists].min() > 0.8
    assert torch.equal((scores > 0.3).sum(1), exists.sum(1))
    gaps = (found[1::2].sort(1).values - boxes[1::2].sort(1).values).mean((0, 1))
    assert gaps.abs().max() < 1.5  # no lasting shift between true and found boxes


def test_the_targets_of_centers_against_loops():
    boxes = torch.tensor([[[3.0, 5, 40, 30], [30, 20, 90, 60], [torch.nan] * 4], [[torch.nan] * 4] * 3])
    size, stride = (9, 12), 8
    targets = encode(boxes, size, stride)
    assert targets.heat[1].sum() == 0 and targets.weight[1].sum() == 0
    assert (targets.heat[0] == 1).sum() == 2
    for i in range(9):
        for j in range(12):
            x, y = 8 * j + 3.5, 8 * i + 3.5
            assert cells(size, stride, boxes)[:, i, j].tolist() == [x, y]
            values = []
            for left, top, right, bottom in boxes[0, :2].tolist():
                near = [round((c - 3.5) / 8) * 8 + 3.5 for c in ((left + right) / 2, (top + bottom) / 2)]
                sigma = [max(0.09 * s, 0.6 * 8) for s in (right - left, bottom - top)]
                apart = ((x - near[0]) / sigma[0]) ** 2 + ((y - near[1]) / sigma[1]) ** 2
                values.append(float(torch.exp(torch.tensor(-apart / 2))))
            assert float(targets.heat[0, i, j]) == pytest.approx(max(values), abs=1e-6)
            if max(values) >= 0.3:
                left, top, right, bottom = boxes[0, values.index(max(values))].tolist()
                assert targets.centre[0, :, i, j].tolist() == [(left + right) / 2, (top + bottom) / 2]
                assert targets.side[0, :, i, j].tolist() == [right - left, bottom - top]
            else:
                assert targets.weight[0, i, j] == 0


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvisions_losses_fall(name: str):
    torch.manual_seed(0)
    images, boxes = scene(2, (64, 64))
    net = detectors.make(name, **BARE).build(image_size=(64, 64), animals=2).train()
    small = name.endswith("v2")  # 43 million weights
    losses = train(net, images, boxes, steps=2 if small else 6, rate=2e-4 if small else 1e-3)
    assert losses[-1] < 0.9 * losses[0]
    with torch.no_grad():
        found, scores = net.eval()(images.to(torch.uint8))
        assert found.shape == (2, 2, 4) and scores.shape == (2, 2) and net.loss(images, boxes).isfinite()


class Told(nn.Module):
    """In place of a torchvision network: gives back what it is told, and keeps what it gets."""

    def __init__(self, boxes: Tensor) -> None:
        super().__init__()
        self.transform = detection.transform.GeneralizedRCNNTransform(800, 1333, [0.5] * 3, [0.25] * 3)
        self.boxes = boxes

    def forward(self, images: Tensor, targets: list[dict[str, Tensor]] | None = None):
        self.images, self.targets = self.transform(images, targets)
        if self.training:
            return {"one": torch.ones(())}
        return [{"boxes": self.boxes, "scores": torch.tensor([0.9, 0.4])} for _ in images]


def test_pixels_of_torchvision_are_half_a_pixel_from_ours_and_nothing_is_resized():
    from lp_detectors.torchvision_detector import TorchvisionDetector

    told = Told(torch.tensor([[0.0, 0, 50, 40], [3, 5, 10, 20]]))
    net = TorchvisionDetector(told, 3, freeze_norm=False).eval()
    images = torch.randint(0, 256, (1, 3, 40, 50), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    boxes, scores = net(images)
    assert boxes[0, :2].tolist() == [[-0.5, -0.5, 49.5, 39.5], [2.5, 4.5, 9.5, 19.5]]
    assert boxes[0, 2].isnan().all() and scores[0].tolist() == pytest.approx([0.9, 0.4, 0.0])
    assert told.images.tensors.shape == (1, 3, 64, 64) and told.images.image_sizes == [(40, 50)]
    assert torch.allclose(told.images.tensors[..., :40, :50] * 0.25 + 0.5, images / 255, atol=1e-6)
    none = [torch.nan] * 4
    true = torch.tensor([[[-0.5, -0.5, 49.5, 39.5], none, [10, 10, 80.0, 20], [60, 10, 80, 20], [5, 5, 5.5, 30]]])
    net.loss(images.float(), true)
    assert told.targets[0]["boxes"].tolist() == [[0, 0, 50, 40], [10.5, 10.5, 50, 20.5]]  # cut to the frame


@pytest.mark.parametrize("name", TORCHVISION[:2])
def test_a_file_of_all_coco_classes_becomes_one_class(name: str, tmp_path: Path):
    """The merged network gives each anchor the mean of the animals' logits, whatever the layout of its layers."""
    torch.manual_seed(0)
    full = getattr(detection, NETWORKS[name])(weights=None, weights_backbone=None, num_classes=91).eval()
    torch.save(full.state_dict(), tmp_path / "coco.pth")
    net = detectors.make(name, weights=str(tmp_path / "coco.pth")).build(image_size=(64, 64), animals=2)
    if name == "ssdlite":
        maps = list(full.backbone(torch.rand(1, 3, 64, 64)).values())
        before, after = full.head(maps)["cls_logits"], net.model.eval().head(maps)["cls_logits"]
    else:
        features = torch.rand(5, 1024)
        before, offsets = full.roi_heads.box_predictor(features)
        after, moved = net.model.roi_heads.box_predictor(features)
        expected = offsets.unflatten(1, (91, 4))[:, 16:26].mean(1)
        assert torch.allclose(moved.unflatten(1, (2, 4))[:, 1], expected, atol=1e-5)
    expected = torch.stack([before[..., 0], before[..., 16:26].mean(-1)], dim=-1)
    assert torch.allclose(after, expected, atol=1e-4) and after.std() > 0
    torch.save(net.model.state_dict(), tmp_path / "ours.pth")
    again = detectors.make(name, weights=str(tmp_path / "ours.pth")).build(image_size=(64, 64), animals=2)
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in net.state_dict().items())


def test_kinds_are_those_boxes_of_the_untrained_network_that_torchvision_calls_so(tmp_path: Path):
    torch.manual_seed(0)
    full = detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=91)
    full = full.eval().requires_grad_(False)
    torch.save(full.state_dict(), tmp_path / "coco.pth")
    full.score_thresh, full.nms_thresh, full.detections_per_img = 0.0, 0.5, 300
    images = torch.randint(0, 256, (1, 3, 320, 320), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    truth = full(images / 255)[0]
    names = get_model_weights(NETWORKS["ssdlite"]).DEFAULT.meta["categories"]  # pyright: ignore[reportAttributeAccessIssue]
    kinds = [int(k) for k in truth["labels"].unique() if names[int(k)] != "N/A"][:2]
    wanted = torch.isin(truth["labels"], torch.tensor(kinds))
    count = int(wanted.sum())
    assert 0 < count < 300

    options = {
        "weights": str(tmp_path / "coco.pth"),
        "threshold": 0.0,
        "overlap": 0.5,
        "kinds": [names[k] for k in kinds],
    }
    net = detectors.make("ssdlite", **options).build(image_size=(320, 320), animals=count + 1)
    boxes, scores = net.train()(images)  # training changes nothing
    assert int((scores > 0).sum()) == count
    assert torch.allclose(scores[0, :count], truth["scores"][wanted], atol=1e-5)
    apart = (boxes[0, :count, None] - (truth["boxes"][wanted] - 0.5)).abs().amax(-1)  # equal scores may be exchanged
    assert apart.amin(0).max() < 1e-2 and apart.amin(1).max() < 1e-2
    assert not any(p.requires_grad for p in net.parameters()) and net.loss(images.float(), boxes) == 0


def test_kinds_that_cannot_be_are_said():
    with pytest.raises(ConfigError, match="'persn' is no class of COCO; did you mean 'person'"):
        detectors.make("ssdlite", kinds=["persn"], pretrained=False).build(image_size=(64, 64), animals=2)
    bare = detectors.make("ssdlite", kinds=["person"], pretrained=False).build(image_size=(64, 64), animals=2)
    with pytest.raises(ConfigError, match=r"leave out detector\.pretrained=false"):
        bare.loss(*scene(1, (64, 64)))


def test_frozen_batch_norm_stays_frozen():
    net = detectors.make("ssdlite", pretrained=False, freeze_norm=True).build(image_size=(64, 64), animals=2).train()
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [m.state_dict()["running_mean"].clone() for m in norms]
    train(net, *scene(2, (64, 64)), steps=1, rate=1e-3)
    assert net.training and norms and not any(m.training or m.weight.requires_grad for m in norms)
    assert all(torch.equal(b, m.state_dict()["running_mean"]) for b, m in zip(before, norms, strict=True))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("centers", {"stride": 16}, "must be 4 or 8"),
        ("centers", {"width": 9.0}, "detector.width"),
        ("ssdlite", {"threshold": 1.5}, "detector.threshold"),
        ("ssdlite", {"weights": "nowhere.pth"}, "is not a file"),
    ],
)
def test_what_cannot_be_is_said(name: str, options: dict[str, object], message: str):
    with pytest.raises(ConfigError, match=message):
        detectors.make(name, **options).build(image_size=(64, 64), animals=2)


def test_weights_of_another_network_are_refused(tmp_path: Path):
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pth")
    (tmp_path / "torn.pth").write_bytes(b"PK torn")
    for file, message in {"other.pth": "does not fit", "torn.pth": "cannot be read"}.items():
        with pytest.raises(ConfigError, match=message):
            detectors.make("ssdlite", weights=str(tmp_path / file)).build(image_size=(64, 64), animals=2)
