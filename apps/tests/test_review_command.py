"""The options of `lpose review`; the page itself is tested in lp-viz and tests/browser."""

import pytest
from lp_apps import review
from lp_core import ConfigError, DataError

pytest.importorskip("uvicorn", reason="the review page needs the extra lp-viz[review]")


@pytest.fixture
def served(monkeypatch):
    """What would be served."""
    from lp_viz.review import serve

    calls = []

    def record(options, host, port, ready):
        calls.append((options, host, port))
        ready("http://127.0.0.1:1/?token=x", ["a remark"])
        return 2

    monkeypatch.setattr(serve, "serve", record)
    return calls


def test_words_become_options(served, tmp_path, capsys):
    run, video = tmp_path / "run", tmp_path / "mouse.mp4"
    (run / "video_preds").mkdir(parents=True)
    (run / "video_preds" / "mouse.csv").touch()
    video.touch()
    review.run(
        [f"run={run}", f"source={video}", "runs=[a, 'b']", "data.root=d", "data.labels=f.csv", "port=7", "cache_mb=9"]
    )
    options, host, port = served[0]
    assert (options.run, list(options.videos), [str(r) for r in options.runs]) == (run, [video], ["a", "b"])
    assert (str(options.root), options.labels, options.cache_mb) == ("d", "f.csv", 9)
    assert (host, port) == ("127.0.0.1", 7)
    out = capsys.readouterr().out.splitlines()
    assert (
        out[0] == "note  a remark"
        and out[1] == "page  http://127.0.0.1:1/?token=x"
        and out[2].startswith("2 corrected")
    )


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        ([], ConfigError, "run=… must be given"),
        (["run=nowhere"], DataError, "nowhere is not a directory"),
        (["run=nowhere", "data.rot=x"], ConfigError, "no option data.rot.*root"),
        (["run=nowhere", "source=nothing.mp4"], DataError, r"nothing\.mp4 does not exist"),
        (["run=nowhere", "host=1", "port=x"], ConfigError, "port=x must be of type int"),
    ],
)
def test_mistakes_are_one_sentence(words, kind, message):
    with pytest.raises(kind, match=message):
        review.run(words)
