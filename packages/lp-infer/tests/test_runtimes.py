"""Every runtime keeps the contract, and gives what float64 gives."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from lp_core import ConfigError, runtimes
from lp_core.testing.runtime import RuntimeContract
from lp_infer import PredictOptions, open_runtime
from lp_infer.parity import exact, parity
from torch import nn

CTRL_C = """
import signal, sys, threading
import numpy as np
from lp_infer.runtimes import OpenVinoConfig

held = [OpenVinoConfig(threads=1, batch_size=1).build(sys.argv[1])]
held[0].start(np.zeros((1, 96, 96, 3), np.uint8))[0]()
thread = threading.Thread(target=held.clear)
thread.start()
thread.join()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


class Follower(nn.Module):
    """Reads two points from each frame by layers that nobody trained, and gives their weighted sum over the window."""

    keypoint_names = ("mean", "late")
    image_size = (96, 96)
    model_type = "heatmap_mhcrnn"

    def __init__(self, context: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.context = context
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 5, stride=4), nn.BatchNorm2d(4), nn.LeakyReLU(0.3))
        self.read = nn.Linear(4 * 23 * 23, 4)

    def get_representations(self, images):
        return self.backbone(images.float() / 255)

    def decode(self, features, windows=None):
        if windows is None:
            offsets = torch.arange(-self.context, self.context + 1)
            windows = (torch.arange(len(features))[:, None] + offsets).clamp(0, len(features) - 1)
        weights = torch.arange(1.0, windows.shape[1] + 1)
        read = self.read(features.flatten(1))[windows]
        points = 200 * (read * weights[:, None]).sum(1).unflatten(-1, (2, 2))
        return points, (points.mean(-1) / 100).sigmoid()

    def forward(self, images):
        return self.decode(self.get_representations(images))


def needs(name):
    """Skip a class where the library is absent."""
    absent = runtimes[name]().missing() if name in runtimes else "no entry point"
    if not absent and name != "torch":
        absent = "" if all(map(_found, ("onnx", "onnxscript"))) else "pip install 'lp-infer[export]'"
    return pytest.mark.skipif(bool(absent), reason=f"runtime {name} is not installed here ({absent})")


def _found(module):
    import importlib.util

    return importlib.util.find_spec(module) is not None


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


class Contract(RuntimeContract):
    @pytest.fixture(autouse=True)
    def given(self, model, paint):
        self.model, self.changed, self.following = model, type(model)().eval(), Follower().eval()
        with torch.no_grad():
            self.changed.conv.weight.mul_(1.01)
        self.paint = paint

    def frames(self):
        at = [np.array([[12 + 4.5 * t, 20 + 3 * t], [80 - 4 * t, 70 - 2.5 * t]]) for t in range(14)]
        return np.stack([self.paint(positions, (96, 96)) for positions in at])

    def expected(self, model, frames):
        return exact(model, frames)


@needs("torch")
class TestTorch(Contract):
    name = "torch"


@needs("onnx")
class TestOnnx(Contract):
    name = "onnx"

    @pytest.mark.parametrize("options", [{"precision": "bfloat16"}, {"precision": "int8"}, {"tensorrt": True}])
    def test_what_a_float32_file_on_a_cpu_cannot_have(self, options):
        with pytest.raises(ConfigError, match=r"choose|lpose export precision=int8|needs device=cuda"):
            self.build(**options)


@needs("openvino")
class TestOpenVino(Contract):
    name = "openvino"

    def test_float32_is_not_bfloat16(self):
        """It would be by default on a CPU that has it."""
        frames = self.frames()
        exactly = exact(self.model, frames)
        assert parity(self.build(), exactly, frames).largest < 1e-3
        try:
            lower = self.build(precision="bfloat16")
        except ConfigError as e:
            pytest.skip(str(e))
        assert parity(lower, exactly, frames).largest > 1e-2
        assert lower.fingerprint != self.build().fingerprint

    @pytest.mark.parametrize("count", [1, 2, 7, 8])
    def test_threads_that_share_a_call_change_no_byte(self, count):
        """Each takes some of the frames; the number of frames need not be a multiple of that of threads."""
        frames = self.frames()[:count]
        alone, shared = (self.build(threads=threads, batch_size=8) for threads in (1, 3))
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        assert (len(alone._requests), len(shared._requests)) == (1, min(3, cores))
        for mine, theirs in zip(alone.start(frames)[0](), shared.start(frames)[0](), strict=True):
            np.testing.assert_array_equal(mine, theirs)

    def test_threads_work_together_at_one_frame_and_at_a_sequence(self):
        assert len(self.build(threads=3, batch_size=1)._requests) == 1
        assert len(self.build(self.following, threads=3)._requests) == 1

    def test_ctrl_c_after_another_thread_let_it_go(self, tmp_path):
        """OpenVINO frees the signals' stack of the thread that made it, whoever lets it go."""
        from lp_infer.to_onnx import exported_once

        script = tmp_path / "script.py"
        script.write_text(CTRL_C)
        done = subprocess.run(
            [sys.executable, script, exported_once(self.model)], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


@needs("mnn")
class TestMnn(Contract):
    name = "mnn"

    @pytest.mark.parametrize("options", [{"precision": "bfloat16"}, {"precision": "int8"}, {"device": "cuda"}])
    def test_what_it_cannot_have(self, options):
        with pytest.raises(ConfigError, match=r"choose|lpose export precision=int8"):
            self.build(**options)

    @pytest.mark.parametrize("count", [1, 2, 7, 8])
    def test_neither_threads_nor_batches_change_a_byte(self, count):
        frames = self.frames()[:count]
        (points, sure), *others = (
            [np.concatenate(values) for values in zip(*(made.start(part)[0]() for part in parts), strict=True)]
            for made, parts in ((self.build(batch_size=8), [frames]), (self.build(batch_size=8, threads=3), [frames]),
                                (self.build(batch_size=1), [frame[None] for frame in frames]))
        )  # fmt: skip
        for other in others:
            np.testing.assert_array_equal(other[0], points)
            np.testing.assert_array_equal(other[1], sure)

    def test_a_sequence_by_several_threads(self):
        frames, made = self.frames(), [self.build(self.following, threads=threads) for threads in (1, 3)]
        (one, state), (three, after) = (runtime.start(frames[:4]) for runtime in made)
        np.testing.assert_array_equal(one()[0], three()[0])
        np.testing.assert_array_equal(state, after)

    def test_a_network_that_it_rounds_too_much_is_refused(self, monkeypatch):
        from lp_infer import mnn_runtime

        monkeypatch.setattr(mnn_runtime, "CLOSE", 1e-12)
        with pytest.raises(ConfigError, match=r"cannot be run by MNN \(it rounds by .* choose another runtime.$"):
            self.build()

    def test_a_network_without_convolutions_is_refused(self):
        class Mean(type(self.model)):
            def forward(self, images):
                means = images.float().mean((2, 3))[:, :2]
                return means[..., None].expand(-1, -1, 2), means / 255

        with pytest.raises(ConfigError, match="0 of 0 convolutions"):
            self.build(Mean().eval())

    def test_it_prints_nothing_and_reports_to_nobody(self):
        """MNN's own tool does both: see `lp_infer.mnn_translation`."""
        from lp_infer.to_onnx import exported_once

        code = (
            "import sys, numpy as np; from lp_infer.runtimes import MnnConfig;"
            f"made = MnnConfig(threads=1, batch_size=1).build({str(exported_once(self.model))!r});"
            "made.start(np.zeros((1, 96, 96, 3), np.uint8))[0](); print('ours');"
            "sys.exit(bool({'torch', 'onnx', 'MNN.tools', 'aliyun'} & sys.modules.keys()))"
        )
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert done.stdout == "ours\n" and done.stderr == ""

    def test_what_the_converter_does_not_know_is_said(self, tmp_path):
        from lp_infer.mnn_translation import translated

        helper = pytest.importorskip("onnx").helper
        given, made = (
            helper.make_tensor_value_info(name, kind, [1, 8, 8, 3]) for name, kind in (("frames", 2), ("made", 1))
        )
        node = helper.make_node("Unheard", ["frames"], ["made"], domain="ours")
        graph = helper.make_model(helper.make_graph([node], "g", [given], [made]))
        with pytest.raises(RuntimeError, match=r"it does not know .*Unheard"):
            translated(graph.SerializeToString(), (8, 8), ["made"], tmp_path)
        with pytest.raises(RuntimeError, match="its converter wrote nothing"):
            translated(b"no graph", (8, 8), ["made"], tmp_path)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs(name)) for name in ("torch", "onnx", "openvino", "mnn")]
)
@pytest.mark.parametrize("kind", ["alone", "following"])
def test_parity_with_float64(name, kind, model, paint):
    frames = np.stack([paint(np.array([[20 + 3 * t, 30 + t], [70 - 3 * t, 60]]), (96, 96)) for t in range(12)])
    network = model if kind == "alone" else Follower().eval()
    runtime = runtimes.make(name, device="cpu", threads=1, batch_size=5).build(network)
    found = parity(runtime, exact(network, frames), frames)
    print(f"{name} {kind}: {found}")
    assert found.largest < 1e-3 and found.confidence < 1e-4 and found.counted == 1


def test_float64_is_float64(model, paint):
    """Its differences from float32 are those of rounding, neither none nor many; the network stays what it was."""
    frames = np.stack([paint(np.array([[20.3, 30.1], [70.7, 60.2]]), (96, 96))])
    points, sure = exact(model, frames)
    with torch.no_grad():
        plain = model(torch.from_numpy(frames).permute(0, 3, 1, 2))
    assert points.dtype == sure.dtype == np.float64 and plain[0].dtype == torch.float32
    assert 0 < np.abs(points - plain[0].numpy()).max() < 1e-3


@needs("onnx")
def test_an_unchanged_module_is_exported_once(model, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    options = PredictOptions(runtime="onnx", device="cpu", threads=1)
    first = open_runtime(model, options).fingerprint
    (path,) = (tmp_path / "lp" / "exports").glob("*.onnx")
    written = path.stat().st_mtime_ns
    assert open_runtime(type(model)().eval(), options).fingerprint == first and path.stat().st_mtime_ns == written
    path.write_bytes(path.read_bytes()[:-100])  # damaged: written anew, the same to the byte
    assert open_runtime(model, options).fingerprint == first
    model.image_size = (96, 64)
    assert open_runtime(model, options).fingerprint != first
    assert len(list((tmp_path / "lp" / "exports").glob("*.onnx"))) == 2


@needs("onnx")
def test_another_decoder_is_another_network(model, tmp_path, monkeypatch):
    """With equal weights, if what it is set to differs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    options = PredictOptions(runtime="onnx", device="cpu", threads=1)

    @dataclasses.dataclass
    class Shift:
        pixels: float

    class Shifted(type(model)):
        def forward(self, images):
            points, sure = super().forward(images)
            return points + self.predictor.pixels, sure

    found = []
    for pixels in (0.0, 5.0):
        network = Shifted().eval()
        network.predictor = Shift(pixels)
        found.append(open_runtime(network, options).start(np.full((1, 96, 96, 3), 9, np.uint8))[0]()[0])
    np.testing.assert_allclose(found[1] - found[0], 5, atol=1e-3)


@needs("onnx")
def test_a_network_that_cannot_be_translated_is_one_sentence():
    class Odd(nn.Module):
        keypoint_names, image_size, model_type = ("a",), (8, 8), "heatmap"

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, images):
            if images.float().mean() > 3:  # depends on values
                return images.float().mean((1, 2, 3))[:, None, None].expand(-1, 1, 2), images.float()[:, :1, 0, 0]
            return images.float().sum((1, 2, 3))[:, None, None].expand(-1, 1, 2), images.float()[:, :1, 0, 0]

    with pytest.raises(
        ConfigError, match=r"\(Odd\) cannot be translated to ONNX: .*; predict with runtime=torch.$"
    ) as e:
        open_runtime(Odd().eval(), PredictOptions(runtime="onnx", device="cpu"))
    assert "\n" not in str(e.value)


def test_configs_bring_no_library():
    code = (
        "import sys; from lp_infer.runtimes import MnnConfig, OnnxConfig, OpenVinoConfig; OnnxConfig().missing();"
        "OpenVinoConfig(); MnnConfig().missing();"
        "sys.exit(bool({'torch', 'onnx', 'onnxruntime', 'openvino', 'MNN'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
