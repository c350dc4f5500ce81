"""What several tests of networks need."""

import io

import pytest
import torch


@pytest.fixture
def run_exported():
    """Outputs of ONNX Runtime for images, of a network exported from two of them for any number."""

    def run(model, images):
        """Exported from two frames for any number of them, and run on all."""
        import onnxruntime

        with torch.no_grad():
            program = torch.onnx.export(
                model, (images[:2],), dynamo=True, verbose=False, opset_version=20,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )  # fmt: skip
        file = io.BytesIO()
        program.save(file)  # pyright: ignore
        session = onnxruntime.InferenceSession(file.getvalue())
        return session.run(None, {session.get_inputs()[0].name: images.numpy()})

    return run
