import numpy as np
import pytest
from lp_core import Resize


def test_corners_of_the_image_stay_corners():
    """The image covers [-0.5, W - 0.5]: its edges, not its pixel centres, are what a resize keeps."""
    resize = Resize((406, 396), (256, 128))
    edges = np.array([[-0.5, -0.5], [395.5, 405.5]])
    np.testing.assert_allclose(resize.forward(edges), [[-0.5, -0.5], [127.5, 255.5]], atol=1e-12)


def test_block_average_moves_a_centre_of_mass_as_resize_says():
    image = np.zeros((12, 20))
    image[4:8, 6:10] = 1
    small = image.reshape(6, 2, 10, 2).mean((1, 3))

    def centre(a):
        y, x = np.indices(a.shape)
        return np.array([(x * a).sum(), (y * a).sum()]) / a.sum()

    np.testing.assert_allclose(Resize((12, 20), (6, 10)).forward(centre(image)), centre(small))


def test_round_trip_keeps_nan_and_the_input():
    points = np.array([[1.0, 2.0], [np.nan, np.nan]])
    before = points.copy()
    resize = Resize((100, 50), (33, 77))
    np.testing.assert_allclose(resize.inverse(resize.forward(points)), points, atol=1e-12)
    np.testing.assert_array_equal(points, before)


def test_tensors_too():
    torch = pytest.importorskip("torch", reason="lp-core itself does not need torch")
    out = Resize((10, 10), (20, 40)).forward(torch.tensor([[0, 0]]))
    assert out.tolist() == [[1.5, 0.5]]
