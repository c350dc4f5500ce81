import sys
from dataclasses import dataclass

import pytest
from lp_core import ConfigError, LossConfig, PluginError, Registry, UnknownNameError

GOOD = """
from dataclasses import dataclass
from lp_core import LossConfig
@dataclass(slots=True, kw_only=True)
class Good(LossConfig):
    '''A good loss.

    More.'''
    epsilon: float = 1.0
    def build(self): return "built"
"""


def install(folder, distribution, entry_points, **modules):
    """A fake installed distribution: metadata and modules on sys.path."""
    info = folder / f"{distribution}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[lp.testparts]\n" + "\n".join(f"{k} = {v}" for k, v in entry_points.items())
    )
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("good_part", "broken_part", "odd_part"):
        sys.modules.pop(name, None)


@pytest.fixture
def registry():
    return Registry("lp.testparts", LossConfig)


def test_listing_imports_nothing_and_loading_does(site, registry):
    install(site, "good-dist", {"good": "good_part:Good"}, good_part=GOOD)
    assert list(registry) == ["good"] and "good" in registry and len(registry) == 1
    assert "good_part" not in sys.modules
    assert registry["good"]().build() == "built"
    assert "good_part" in sys.modules


def test_an_unknown_name_lists_what_is_installed_and_the_nearest(site, registry):
    install(site, "good-dist", {"good": "good_part:Good"}, good_part=GOOD)
    with pytest.raises(UnknownNameError, match=r"no 'goood'; did you mean 'good'\? Installed: good\."):
        registry["goood"]
    with pytest.raises(UnknownNameError, match=r"no 'xyz'\. Installed: good\."):
        registry["xyz"]


def test_a_broken_plugin_is_named_and_isolated(site, registry):
    install(site, "good-dist", {"good": "good_part:Good"}, good_part=GOOD)
    install(site, "broken-dist", {"broken": "broken_part:B"}, broken_part="import not_there_at_all")
    with pytest.raises(PluginError, match="broken-dist"):
        registry["broken"]
    good, broken = registry.parts()[1], registry.parts()[0]
    assert (good.name, good.distribution, good.doc, good.problem) == ("good", "good-dist", "A good loss.", "")
    assert "not_there_at_all" in broken.problem


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        ("import not_there_at_all", r"'not_there_at_all'\); install not_there_at_all, or uninstall broken-dist\.$"),
        ("1 / 0", r"fails to import \(ZeroDivisionError: division by zero\); repair it, or uninstall broken-dist\.$"),
        ("class Other: pass", r"\(AttributeError: .*has no attribute 'B'\); repair it, or uninstall broken-dist\.$"),
    ],
)
def test_a_broken_plugin_says_what_to_do(site, registry, module, sentence):
    install(site, "broken-dist", {"broken": "broken_part:B"}, broken_part=module)
    with pytest.raises(PluginError, match=rf"^lp\.testparts: .broken. of broken-dist .*{sentence}"):
        registry["broken"]


def test_two_distributions_with_one_name_are_refused_by_name(site, registry):
    install(site, "first-dist", {"good": "good_part:Good", "other": "good_part:Good"}, good_part=GOOD)
    install(site, "second-dist", {"good": "elsewhere:Good"})
    with pytest.raises(PluginError, match="first-dist and second-dist"):
        registry["good"]
    assert registry["other"]().build() == "built"


def test_a_part_of_the_wrong_kind_is_refused(site, registry):
    install(site, "odd-dist", {"odd": "odd_part:X"}, odd_part="class X: pass")
    with pytest.raises(PluginError, match="odd-dist is not a dataclass derived from LossConfig"):
        registry["odd"]


def test_register_in_a_notebook(site, registry):
    install(site, "good-dist", {"good": "good_part:Good"}, good_part=GOOD)

    @registry.register("mine")
    @dataclass(slots=True, kw_only=True)
    class Mine(LossConfig):
        def build(self):
            return 1

    assert registry["mine"] is Mine and list(registry) == ["good", "mine"]
    with pytest.raises(PluginError, match="already comes from good-dist"):
        registry.register("good")(Mine)
    with pytest.raises(PluginError, match="not a dataclass"):
        registry.register("bad")(int)
    with pytest.raises(PluginError, match=r'give the part a name, register\("dummy_backbone"\)'):

        @registry.register
        class DummyBackboneConfig:
            pass


def test_an_unknown_option_is_an_error(site, registry):
    install(site, "good-dist", {"good": "good_part:Good"}, good_part=GOOD)
    assert registry.make("good", epsilon=2.0).epsilon == 2.0
    with pytest.raises(ConfigError, match=r"no option 'epsilo'; did you mean 'epsilon'\? It has: log_weight, epsilon"):
        registry.make("good", epsilo=2.0)


def test_the_registry_needs_neither_torch_nor_anything_heavy():
    import subprocess

    code = "import sys, lp_core; assert not {'torch', 'pandas'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
