"""Every `lpose` command of the page on several animals runs; a file of its own, to run beside the other pages."""


def test_several_animals(run_pages, tmp_path):
    run_pages("docs/several-animals.md", at_least=9)
    for name in (
        "arena/run/video_preds/session0_tracks.csv",
        "arena/run/video_preds/labeled_videos/session0_labeled.mp4",
        "poses/ood_tracks.csv",
        "animals.mp4",
        "tracks.csv",
        "told_table/ood.csv",
        "followed/ood_tracks.csv",
    ):
        assert (tmp_path / name).exists(), name
