"""The models of DeepLabCut's PyTorch engine by the names they have there, as overrides of a configuration."""

from lp_core import ConfigError, detectors, nearest

RESNETS = {"resnet_50": "resnet50_gn", "resnet_101": "resnet101"}
HRNETS = ("w18", "w32", "w48")
CSPNEXTS = ("s", "m", "x")
TIMM = {"w32": "hrnet_w32.ms_in1k", "w48": "hrnet_w48.ms_in1k"}
LARGE = 384  # pixels; what rtmpose_x sees
HUMAN = "data.crop_size=[384,288]"  # height, width


def _backbones() -> dict[str, list[str]]:
    """Those that stand for a model by themselves, with offsets on maps of the size that DeepLabCut has."""
    resnets = {
        name: [f"backbone={ours}", "backbone.output_stride=16", "head=heatmap_locref", "head.downsample_factor=3"]
        for name, ours in RESNETS.items()
    }
    hrnets = {
        f"hrnet_{w}": [
            f"backbone=hrnet_{w}",
            "backbone.branches=highest",
            "head=heatmap_locref",
            "head.downsample_factor=2",
        ]
        for w in HRNETS
    }
    cspnexts = {
        f"cspnext_{s}": [f"backbone=cspnext_{s}", "head=heatmap_locref", "head.downsample_factor=4"] for s in CSPNEXTS
    }
    return resnets | hrnets | cspnexts


def _models() -> dict[str, list[str]]:
    single = _backbones()
    dekr = {f"dekr_{w}": [f"backbone=hrnet_{w}", "backbone.branches=all", "head=dekr"] for w in HRNETS}
    rtmpose = {f"rtmpose_{s}": [f"backbone=cspnext_{s}", "head=rtmcc"] for s in CSPNEXTS}
    rtmpose["rtmpose_x"] += [f"data.image_size=[{LARGE},{LARGE}]", f"data.crop_size=[{LARGE},{LARGE}]"]
    dlcrnet = {
        f"dlcrnet_stride{s}_ms5": ["backbone=dlcrnet", f"backbone.output_stride={s}", "head=paf", "head.num_stages=5"]
        for s in (16, 32)
    }
    token = ["backbone=hrnet_w32", "backbone.branches=highest", "head=token_pose", "head.mlp=3"]
    others = {"dlcrnet_ms5": dlcrnet["dlcrnet_stride16_ms5"], "animaltokenpose_base": token}
    top_down = {f"top_down_{name}": words for name, words in single.items()}
    return dict(sorted((single | dekr | rtmpose | dlcrnet | others | top_down | _conditional()).items()))


def _conditional() -> dict[str, list[str]]:
    """Those that are told a pose: `conditions=RUN` says whose."""
    maps = ["head=heatmap_locref", "head.downsample_factor=2"]
    coam = {f"ctd_coam_{w}": ["backbone=hrnet_coam", f"backbone.model={TIMM[w]}", *maps] for w in ("w32", "w48")}
    coam["ctd_coam_w48_human"] = [*coam["ctd_coam_w48"], HUMAN]
    hrnet = {
        f"ctd_prenet_hrnet_{w}": ["backbone=cond_prenet", f"backbone.model={TIMM[w]}", *maps] for w in ("w32", "w48")
    }
    rtmpose = {
        f"ctd_prenet_rtmpose_{s}": ["backbone=cond_prenet", f"backbone.model=cspnext_{s}.rsb_a1_in1k", "head=rtmcc"]
        for s in CSPNEXTS
    }
    rtmpose["ctd_prenet_rtmpose_x_human"] = [*rtmpose["ctd_prenet_rtmpose_x"], HUMAN]
    rtmpose["ctd_prenet_rtmpose_x"] += [f"data.crop_size=[{LARGE},{LARGE}]"]
    return coam | hrnet | rtmpose


def available_models() -> list[str]:
    """Names of DeepLabCut's models that `model=NAME` stands for.

    A head for one animal is trained on crops round each where the labels have several: `top_down_…` is then the same as
    the name without it.
    """
    return list(_models())


def available_detectors() -> list[str]:
    """Names of installed detectors, for `detector=NAME`."""
    return list(detectors)


def expanded(overrides: list[str]) -> list[str]:
    """`model=NAME` replaced by what it stands for; overrides that are given win.

    Raises:
        ConfigError: there is no such model.
    """
    names = [word.partition("=")[2] for word in overrides if word.startswith("model=")]
    rest = [word for word in overrides if not word.startswith("model=")]
    if not names:
        return rest
    known = _models()
    if names[-1] not in known:
        raise ConfigError(
            f"model={names[-1]} is unknown{nearest(names[-1], list(known))} There are {', '.join(known)}."
        )
    given = {word.partition("=")[0] for word in rest}
    return [word for word in known[names[-1]] if word.partition("=")[0] not in given] + rest
