"""What images of frames are called."""

import pytest
from lp_core import DataError
from lp_viz.naming import frame_of, name_of


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("labeled-data/mouse/img0012.png", ("mouse", 12)),
        ("labeled-data/mouse.v2/frame_7.jpg", ("mouse.v2", 7)),
        ("labeled-data/mouse/0012.png", ("mouse", 12)),
        ("labeled-data/mouse/img.png", None),
        ("img12.png", None),
    ],
)
def test_folder_and_digits_say_video_and_frame(image, found):
    assert frame_of(image) == found


@pytest.mark.parametrize(
    ("images", "count", "name"),
    [
        ([], 100, "img00000034.png"),
        (["labeled-data/new/img07.png", "labeled-data/old/img0007.png"], 1000, "img34.png"),  # its own, even if short
        (["labeled-data/old/img0007.png"], 100, "img0034.png"),
        (["labeled-data/old/img7.png"], 1001, "img0034.png"),  # wide enough for frame 1000
        (["labeled-data/old/frame_07.png"], 100, "frame_34.png"),
        (["labeled-data/old/frame_07.png", "labeled-data/older/img08.png"], 100, "img34.png"),
        (["labeled-data/new/f1.png", "labeled-data/new/g01.png", "labeled-data/new/g02.png"], 100, "g34.png"),
    ],
)
def test_a_new_image_is_called_as_the_others_are(images, count, name):
    assert name_of("new", 34, images, count) == f"labeled-data/new/{name}"
    assert frame_of(name_of("new", 34, images, count)) == ("new", 34)


@pytest.mark.parametrize("video", ["", "..", "a/b", "a\nb"])
def test_names_that_are_no_folder(video):
    with pytest.raises(DataError, match="rename it"):
        name_of(video, 1, [], 10)
