"""The Hydra edge: what comes in as words leaves as checked dataclasses, and what is wrong is one sentence."""

import dataclasses

import pytest
from lp_core import ConfigError, LossConfig, UnknownNameError, losses
from lp_train import _hydra, compose
from lp_train.lp_config import translate


def test_words_become_typed_values():
    config = compose(
        [
            "backbone=resnet50",
            "backbone.pretrained=false",
            "head=simcc",
            "data.image_size=[128,256]",
            "training.max_epochs=7",
            "losses=[]",
        ]
    )
    assert type(config.backbone).__name__ == "ResNet50Config" and config.backbone.pretrained is False
    assert config.head.supervised_loss == "simcc_kl" and config.training.max_epochs == 7
    assert list(config.data.image_size) == [128, 256] and config.losses == {}


def test_losses_are_chosen_by_name_and_have_their_own_options():
    config = compose(["losses=[regression_rmse]", "losses.regression_rmse.log_weight=2"])
    assert config.losses["regression_rmse"].log_weight == 2


def test_parts_of_the_augmentation_are_switched_off_by_name():
    config = compose(["augmentation=dlc", "augmentation.motion_blur.p=0"])
    assert config.augmentation.motion_blur.p == 0 and config.augmentation.rotate.p == 0.4


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("training.max_epoch=5", r"no configuration key 'training\.max_epoch'; did you mean 'training\.max_epochs'\?"),
        ("overwrite=true", r"no configuration key 'overwrite'"),
        ("dat=x", r"no configuration key 'dat'; did you mean 'data'\?"),
        ("training.max_epochs", "is not KEY=VALUE"),
        ("=3", "is not KEY=VALUE"),
        ("+training.colour=blue", "is not KEY=VALUE"),
        ("hydra.run.dir=x", "is not KEY=VALUE"),
        ("head=heatmap,simcc", "'head=heatmap,simcc' cannot be read; write one name"),
        ("losses=[temporal", r"'losses=\[temporal' cannot be read"),
        ("backbone.pretraned=false", r"did you mean 'backbone\.pretrained'"),
        ("training.max_epochs=many", r"override 'training\.max_epochs' does not fit"),
        ("training.max_epochs=0", r"training\.max_epochs=0 must be above zero"),
        ("training.accelerator=gpu", r"training\.accelerator=gpu is unknown"),
        ("training.schedule=cosin", r"did you mean 'cosine'"),
        ("data.image_size=[10,10]", "at least 32 pixels"),
        ("head.loss=mes", "Choose mse, kl or js"),
        ("training.ema_decay=1", "must lie in"),
    ],
)
def test_a_wrong_word_is_one_sentence(word, words):
    with pytest.raises(ConfigError, match=words) as error:
        compose([word])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["Mäuse/Käfig 1", "a, b", "it's", "{x", "a=b", "(1)", r"C:\Mäuse", "C:\\it's\\", r"\\server\m ü", "鼠"]
)
def test_paths_of_any_name_come_through(name):
    assert compose([f"data.root={name}"]).data.root == name


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ('["a, b",c]', ["a, b", "c"]),
        ("[Mäuse/1,it's]", ["Mäuse/1", "it's"]),
        ('["Käfig, 1",\'5" x\']', ["Käfig, 1", '5" x']),
        (r'["C:\Mäuse, alt\",b]', ["C:\\Mäuse, alt\\", "b"]),
        ("[a(1),a=b]", ["a(1)", "a=b"]),
        (r"['it\'s',b]", ["it's", "b"]),  # Hydra's own quotes
    ],
)
def test_names_in_lists_come_through(value, names):
    assert list(compose([f"data.view_names={value}"]).data.view_names or ()) == names


def test_a_list_with_an_open_quote_says_what_to_write():
    with pytest.raises(
        ConfigError, match=r"' does not end where a name ends; write names with commas as in '\[\"a, b\",c\]'"
    ):
        compose(["data.view_names=['a,b]"])


def test_a_configuration_is_read_again_when_it_or_its_parts_change(tmp_path):
    path = tmp_path / "config.yaml"
    _hydra.save(compose(["training.max_epochs=5"]), path)
    first = _hydra.load(path)
    first.training.max_epochs = 7  # its own copy
    assert _hydra.load(path).training.max_epochs == 5
    path.write_text(path.read_text().replace("max_epochs: 5", "max_epochs: 6"))
    assert _hydra.load(path).training.max_epochs == 6
    path.unlink()
    with pytest.raises(ConfigError, match="does not exist"):
        _hydra.load(path)


def test_a_part_that_is_registered_anew_takes_the_place_of_the_old(monkeypatch):
    monkeypatch.setattr(losses, "_local", {})

    def made(default):
        @losses.register("stiff")
        @dataclasses.dataclass(slots=True, kw_only=True)
        class Config(LossConfig):
            epsilon: float = default

            def build(self, poses=None):
                return None

        return compose(["losses=[stiff]"]).losses["stiff"].epsilon

    assert (made(1.0), made(2.0)) == (1.0, 2.0)


def test_an_unknown_part_names_the_nearest():
    with pytest.raises(UnknownNameError, match=r"lp\.backbones has no 'resnet81'; did you mean 'resnet18'"):
        compose(["backbone=resnet81"])
    with pytest.raises(UnknownNameError, match=r"lp\.losses has no 'tmporal'"):
        compose(["losses=[tmporal]"])


def test_a_saved_configuration_comes_back_equal(tmp_path):
    config = compose(
        [
            "backbone=hrnet_w18",
            "head=simcc",
            "augmentation=dlc-lr",
            "augmentation.rotate.degrees=5",
            "losses=[regression_rmse]",
        ]
    )
    _hydra.save(config, tmp_path / "config.yaml")
    assert dataclasses.asdict(_hydra.load(tmp_path / "config.yaml")) == dataclasses.asdict(config)
    with pytest.raises(ConfigError, match="does not exist"):
        _hydra.load(tmp_path / "none.yaml")


LP = """
data: {image_resize_dims: {height: 384, width: 256}, data_dir: /some/dir, csv_file: CollectedData.csv,
  num_keypoints: 17, view_names: null}
training: {imgaug: dlc, train_batch_size: 8, val_batch_size: 32, train_prob: .8, val_prob: .1, train_frames: 1, num_gpus: 1,
  unfreezing_epoch: 20,
  max_epochs: 300, rng_seed_data_pt: 42, rng_seed_model_pt: 44, optimizer: Adam,
  optimizer_params: {learning_rate: 1e-3}, lr_scheduler: multisteplr,
  lr_scheduler_params: {multisteplr: {milestones: [150, 200, 250], gamma: .5}}, a_typo: 3}
model: {losses_to_use: [], backbone: resnet50_animal_ap10k, model_type: heatmap, heatmap_loss_type: kl}
dali: {general: {seed: 123456}}
losses: {temporal: {log_weight: 5.0}}
"""


def test_a_lightning_pose_configuration(tmp_path):
    (tmp_path / "lp.yaml").write_text(LP)
    translation = translate(tmp_path / "lp.yaml")
    config = compose(translation.overrides)
    assert (
        list(config.data.image_size) == [384, 256] and config.data.root == "/some/dir" and config.data.split.seed == 42
    )
    assert (config.training.batch_size, config.training.seed, config.training.max_epochs) == (8, 44, 300)
    assert (
        config.training.milestones == pytest.approx([1 / 2, 2 / 3, 5 / 6])
        and config.head.supervised_loss == "heatmap_kl"
    )
    assert type(config.backbone).__name__ == "ResNet50Config"
    assert any("a_typo" in key for key in translation.unknown) and any("ap10k" in key for key in translation.unknown)
    assert len(translation.unknown) == 2


SEMI = """
data: {data_dir: /some/dir, mirrored_column_matches: [[0, 1], [2, 3]], columns_for_singleview_pca: [0, 2]}
model: {model_type: heatmap_mhcrnn, losses_to_use: [temporal, pca_singleview]}
dali: {general: {seed: 123456}, base: {train: {sequence_length: 32}}, context: {train: {batch_size: 16}}}
losses: {temporal: {log_weight: 5.0, epsilon: [20.0, 10.0], prob_threshold: .05},
  pca_singleview: {log_weight: 5.5, components_to_keep: .99, epsilon: null, empirical_epsilon_percentile: 95},
  pca_multiview: {log_weight: 5.0}}
callbacks: {anneal_weight: {attr_name: total_unsupervised_importance, freeze_until_epoch: 10,
  increase_factor: .02, final_val: 1.0}}
"""


def test_a_semi_supervised_lightning_pose_configuration(tmp_path):
    (tmp_path / "lp.yaml").write_text(SEMI)
    translation = translate(tmp_path / "lp.yaml")
    config = compose(translation.overrides)
    assert translation.unknown == ["dali.base.train.sequence_length"] or not translation.unknown
    assert list(config.losses) == ["temporal", "pca_singleview"] and config.losses["temporal"].epsilon == [20.0, 10.0]
    assert (
        config.losses["pca_singleview"].empirical_epsilon_percentile == 95 and config.losses["temporal"].log_weight == 5
    )
    assert config.data.mirrored_column_matches == [[0, 1], [2, 3]] and config.data.columns_for_singleview_pca == [0, 2]
    assert config.clips.sequence_length == 16 and config.head.context == 2
    anneal = config.training.anneal
    assert (anneal.freeze_until_epoch, anneal.increase_factor, anneal.final_val) == (10, 0.02, 1.0)


def test_a_model_we_lack_is_one_sentence(tmp_path):
    (tmp_path / "lp.yaml").write_text("model: {model_type: heatmap_multiview_transformer}")
    with pytest.raises(ConfigError, match="heatmap_multiview_transformer is not available yet"):
        translate(tmp_path / "lp.yaml")
