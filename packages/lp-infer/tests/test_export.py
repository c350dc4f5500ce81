"""A file that says what it is, gives what the network gives, and runs where there is no torch."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from lp_core import ConfigError, DataError
from lp_infer import LivePredictor, PredictOptions, predict_video
from lp_infer.__main__ import chosen, main
from lp_infer.exported import FORMAT, KEY, Description, read_exported, write_exported
from lp_infer.inference_copy import at_size
from lp_io import read_predictions
from torch import nn

REASON = "onnx, onnxscript or onnxruntime is not installed here (pip install 'lp-infer[export,onnx]')"


@pytest.fixture(scope="session")
def export_module():
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason=REASON)
    import lp_infer.export

    return lp_infer.export


@pytest.fixture
def frames(paint):
    return np.stack([paint(np.array([[20 + 4 * t, 30 + t], [75 - 4 * t, 60]]), (96, 96)) for t in range(12)])


@pytest.fixture
def exported(export_module, model, frames, tmp_path):
    options = export_module.ExportOptions(skeleton=((0, 1),), about={"training_data_sha256": "ab"}, threads=1)
    export_module.export(model, tmp_path / "model.onnx", frames, options)
    return tmp_path / "model.onnx"


def test_a_file_runs_where_no_runtime_is_named(exported, video, frames, tmp_path):
    assert predict_video(exported, video, tmp_path / "out.csv").runtime in ("onnx", "openvino")
    with LivePredictor(exported) as live:
        assert live.runner.runtime.name in ("onnx", "openvino") and live.runner.batch_size == 1
        assert np.isfinite(live.push(frames[0], 0.0).keypoints).all()
    with pytest.raises(ConfigError, match="choose runtime=onnx or openvino"):
        LivePredictor(exported, PredictOptions(runtime="torch"))


def test_a_network_for_frames_of_any_size_is_exported_for_one(export_module, model, video, truth, paint, tmp_path):
    model.any_size = True
    frames = np.stack([paint(positions) for positions in truth[:6]])  # as large as those of the video
    with pytest.raises(ConfigError, match="lpose export with source=VIDEO"):
        export_module.export(model, tmp_path / "any.onnx", frames)
    export_module.export(at_size(model, frames.shape[1:3]), tmp_path / "one.onnx", frames)
    assert model.any_size and model.image_size == (96, 96)
    predict_video(tmp_path / "one.onnx", video, tmp_path / "out.csv")
    found = read_predictions(tmp_path / "out.csv").keypoints
    assert np.abs(found - truth).max() < 0.5


class Deep(nn.Module):
    """The blob finder behind three convolutions that pass colours on, each blurring a little."""

    keypoint_names, image_size, model_type = ("bright", "dark"), (96, 96), "heatmap"

    def __init__(self, finder: nn.Module) -> None:
        super().__init__()
        blur = torch.outer(torch.tensor([1.0, 2, 1]), torch.tensor([1.0, 2, 1])) / 16
        self.backbone = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1, bias=False) for _ in range(3)))
        with torch.no_grad():
            for number, conv in enumerate(self.backbone):
                conv.weight.copy_(torch.eye(3)[..., None, None] * blur * (1 - number / 50))
        self.head = finder
        self.head.keep_float32 = True

    def forward(self, images):
        return self.head(self.backbone(images.float()))


def description(**more):
    return Description(keypoint_names=("a",), image_size=(8, 16), model_type="heatmap", **more)


def test_a_description_comes_back_and_the_rest_is_untouched(tmp_path):
    said = description(context=2, state=(4, 8, 2, 2), skeleton=((0, 0),), about={"of": "é"}, weights="w")
    graph = b"\x08\x0a" + b"\x3a\x03abc"  # an entry with a number, and one with bytes
    write_exported(tmp_path / "a.onnx", graph, said)
    found = read_exported(tmp_path / "a.onnx")
    assert (
        found.description == said and found.data.startswith(graph) and found.data == (tmp_path / "a.onnx").read_bytes()
    )


def test_damage_anywhere_is_found(tmp_path):
    path = tmp_path / "a.onnx"
    write_exported(path, b"\x08\x0a" + b"\x3a\x80\x01" + bytes(range(128)), description())
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DataError):
            read_exported(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"a.onnx is damaged, or not a network that lpose export wrote; write one"):
            read_exported(path)
    path.write_bytes(whole)
    assert read_exported(path).description == description()


@pytest.mark.parametrize("content", [b"", b"scorer,heatmap_tracker\n", os.urandom(4000), b"\x08\x0a\x3a\x03abc"])
def test_a_foreign_file_is_one_sentence(tmp_path, content):
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(DataError, match="not a network that lpose export wrote"):
        read_exported(tmp_path / "x.onnx")


def test_an_absent_and_a_newer_file(tmp_path):
    with pytest.raises(DataError, match="does not exist; write one with lpose export"):
        read_exported(tmp_path / "none.onnx")
    write_exported(tmp_path / "new.onnx", b"", description(format=FORMAT + 1, made_by="lp-infer 99"))
    with pytest.raises(DataError, match=r"newer version \(lp-infer 99\); pip install -U"):
        read_exported(tmp_path / "new.onnx")


def test_other_libraries_read_it(exported, model):
    """ONNX's own checker, its reader, and ONNX Runtime."""
    import onnx
    import onnxruntime

    graph = onnx.load(exported)
    onnx.checker.check_model(graph, full_check=True)
    said = json.loads(next(p.value for p in graph.metadata_props if p.key == KEY))
    assert (
        said["keypoint_names"] == ["bright", "dark"]
        and said["image_size"] == [96, 96]
        and said["precision"] == "float32"
    )
    assert said["skeleton"] == [[0, 1]] and said["about"] == {"training_data_sha256": "ab"} and said["checksum"]
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    assert (given.name, given.type, given.shape[1:]) == ("frames", "tensor(uint8)", [96, 96, 3])
    assert isinstance(given.shape[0], str)
    assert [output.name for output in session.get_outputs()] == ["keypoints", "confidence"]


def test_it_says_nothing_of_the_machine_it_was_made_on(exported):
    content = exported.read_bytes()
    assert b"stack_trace" not in content and b".py" not in content and os.fsencode(Path.home()) not in content


def test_the_same_network_gives_the_same_file(export_module, model, frames, exported, tmp_path):
    options = export_module.ExportOptions(skeleton=((0, 1),), about={"training_data_sha256": "ab"})
    export_module.export(type(model)().eval(), tmp_path / "again.onnx", frames, options)
    assert (tmp_path / "again.onnx").read_bytes() == exported.read_bytes()


def test_the_report(export_module, model, frames, tmp_path):
    report = export_module.export(model, tmp_path / "a.onnx", frames)
    assert report.size == (tmp_path / "a.onnx").stat().st_size and report.frames == 12 and "onnx" in report.parity
    for found in report.parity.values():
        assert 0 < found.largest < 1e-3 and found.mean <= found.largest and found.counted == 1


def test_a_file_that_differs_is_not_written(export_module, model, frames, tmp_path, monkeypatch):
    out = tmp_path / "a.onnx"
    out.write_text("old")
    with pytest.raises(ConfigError, match=r"a.onnx was not written: .*largest difference .*limit=.* would allow it"):
        export_module.export(model, out, frames, export_module.ExportOptions(limit=1e-12))
    right = export_module.exact

    def shifted(*given):
        points, sure = right(*given)
        return points + np.array([0.0, 0.3]), sure

    monkeypatch.setattr(export_module, "exact", shifted)
    with pytest.raises(ConfigError, match=r"largest difference 0.3 px, limit 0.05 px"):
        export_module.export(model, out, frames)
    assert out.read_text() == "old" and list(tmp_path.iterdir()) == [out]
    told = export_module.export(model, out, frames, export_module.ExportOptions(limit=1))
    assert told.parity["onnx"].largest == pytest.approx(0.3, abs=1e-3)


def test_a_wrong_confidence_is_found_too(export_module, model, frames, tmp_path, monkeypatch):
    right = export_module.exact
    monkeypatch.setattr(export_module, "exact", lambda *given: (right(*given)[0], right(*given)[1] - 0.2))
    with pytest.raises(ConfigError, match=r"confidence by up to 0\.2"):
        export_module.export(model, tmp_path / "a.onnx", frames)


def test_int8_is_int8_where_it_should_be(export_module, model, frames, tmp_path):
    import onnx
    from onnx import numpy_helper

    network, out = Deep(model).eval(), tmp_path / "int8.onnx"
    report = export_module.export(network, out, frames, export_module.ExportOptions(precision="int8", threads=1))
    assert report.precision == "int8" and all(0 < found.mean < 0.5 for found in report.parity.values())
    assert read_exported(out).description.precision == "int8"
    weights = {w.name: numpy_helper.to_array(w) for w in onnx.load(out).graph.initializer}
    kinds = {name: value.dtype for name, value in weights.items() if value.ndim == 4}
    assert sorted(str(kind) for kind in kinds.values()) == ["float32", "float32", "int8", "int8"]
    assert all(kind == np.float32 for name, kind in kinds.items() if "head" in name or "backbone.0" in name)
    runtime = export_module.CHECKS["onnx"](device="cpu", threads=1).build(out)
    assert runtime.precision == "int8" and "int8" in runtime.fingerprint
    if "openvino" in report.parity:
        found = export_module.CHECKS["openvino"](device="cpu", threads=1).build(out).fingerprint
        assert found.endswith(("/bf16", "/f32")), "two machines that compute the rest otherwise are told apart"


def test_int8_that_changes_too_much_is_not_written(export_module, model, frames, tmp_path):
    options = export_module.ExportOptions(precision="int8", limit=1e-6)
    with pytest.raises(ConfigError, match=r"mean difference .* export precision=float32; limit="):
        export_module.export(Deep(model).eval(), tmp_path / "a.onnx", frames, options)
    with pytest.raises(ConfigError, match="no convolution to quantise"):
        export_module.export(model, tmp_path / "a.onnx", frames, dataclasses.replace(options, limit=None))
    assert not list(tmp_path.iterdir())


def test_too_few_frames(export_module, model, frames, tmp_path):
    with pytest.raises(ConfigError, match=r"at least 2 real frames to compare, not 1; give frames=2."):
        export_module.export(model, tmp_path / "a.onnx", frames[:1], export_module.ExportOptions(precision="int8"))


@pytest.mark.parametrize("options", [{"precision": "bfloat16"}, {"limit": 0.0}])
def test_wrong_options_are_one_sentence(export_module, options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        export_module.ExportOptions(**options)


WITHOUT = """
import sys
for name in ("torch", "onnx", "onnxscript", "timm"):
    sys.modules[name] = None  # an import of it fails
from lp_infer.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_video_without_torch(exported, model, video, tmp_path):
    words = [str(exported), str(video), str(tmp_path / "out.csv"), "runtime=onnx", "threads=1", "batch_size=5"]
    done = subprocess.run([sys.executable, "-c", WITHOUT, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "37 frames" in done.stdout and "onnx, cpu, float32, batches of 5" in done.stdout
    predict_video(model, video, tmp_path / "torch.csv", PredictOptions(runtime="torch", device="cpu", batch_size=5))
    found, expected = (read_predictions(tmp_path / name) for name in ("out.csv", "torch.csv"))
    assert found.keypoint_names == expected.keypoint_names and found.scorer == expected.scorer
    assert np.abs(found.keypoints - expected.keypoints).max() < 1e-3
    first = (tmp_path / "out.csv").read_bytes()
    subprocess.run([sys.executable, "-c", WITHOUT, *words], check=True, capture_output=True)
    assert (tmp_path / "out.csv").read_bytes() == first


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["a.onnx"], "Three words are needed"),
        (["/no.onnx", "v.mp4", "o.csv"], "/no.onnx does not exist"),
        (["a", "b", "c", "batch=3"], "There is no option 'batch=3'; did you mean 'batch_size'?"),
        (["a", "b", "c", "threads=two"], "threads=two must be of type int"),
        (["a", "b", "c", "overwrite=no"], "overwrite=no must be of type bool"),
    ],
)
def test_a_mistake_is_one_sentence(words, sentence):
    done = subprocess.run([sys.executable, "-m", "lp_infer", *words], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("lp_infer: ") and sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_words_become_options():
    given = ["threads=0", "batch_size=7", "overwrite=false", "runtime=openvino"]
    assert chosen(given) == {"batch_size": 7, "overwrite": False, "runtime": "openvino"}


class Uneven(nn.Module):
    """Twelve blocks with a branch each; one of them has channels of very different size, which int8 rounds badly."""

    keypoint_names, image_size, model_type, blocks, bad = ("a",), (32, 32), "heatmap", 12, 7

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.branches = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(self.blocks))
        self.head = nn.Conv2d(8, 1, 1)
        self.head.keep_float32 = True
        with torch.no_grad():
            self.branches[self.bad].weight[:, 1:] *= 1e-2  # one input channel rules the range of the weights …
            self.scale = torch.ones(8).index_fill(0, torch.tensor([0]), 1e-2)[:, None, None]  # … and is itself small

    def forward(self, images):
        x = self.first(images.float() / 255).relu()
        for number, branch in enumerate(self.branches):
            inside = x * self.scale * 30 if number == self.bad else x
            x = (x + branch(inside)).relu()
        maps = self.head(x).flatten(2)
        place = maps.softmax(-1) @ torch.arange(maps.shape[-1], device=maps.device).to(maps.dtype)
        return torch.stack([place % 32, place / 32], -1), maps.sigmoid().amax(-1)


def test_the_layer_that_int8_hurts_most_stays_in_float_and_sums_are_not_rounded(export_module, tmp_path):
    import onnx
    from lp_infer.to_onnx import to_onnx

    network = Uneven().eval()
    graph = to_onnx(network)
    frames = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    int8 = export_module.quantised(graph, frames, (), ["network.head"])
    onnx.checker.check_model(int8)
    kinds = {w.name: w.data_type for w in int8.graph.initializer if len(w.dims) == 4}
    rounded = [name for name, kind in kinds.items() if kind == onnx.TensorProto.INT8]
    assert len(rounded) == Uneven.blocks - 1 and not any(f"branches.{Uneven.bad}." in name for name in rounded)
    made = {value: node.op_type for node in int8.graph.node for value in node.output}
    sums = [node for node in int8.graph.node if node.op_type == "Add" and "Conv" in {made.get(i) for i in node.input}]
    assert len(sums) == Uneven.blocks and not any(made.get(i) == "DequantizeLinear" for n in sums for i in n.input)


def test_what_the_system_refuses_is_one_sentence(monkeypatch, capsys):
    def refused(*_):
        raise PermissionError(13, "Permission denied", "a.onnx")

    monkeypatch.setattr("lp_infer.__main__.read_exported", refused)
    assert main(["a.onnx", "v.mp4", "o.csv"]) == 2
    assert capsys.readouterr().err.startswith("lp_infer: a.onnx: Permission denied; make sure the path exists")
