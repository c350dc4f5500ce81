"""Run by the Python of a venv with lightning-pose: make a run directory with its own code, and predict with its own code.

    python original_lightning_pose.py OUT KIND BACKBONE SIZE   # a run with random weights in OUT/run, then predict
    python original_lightning_pose.py OUT RUN                  # predict with an existing run

Either writes OUT/original.npz: the frames, and what Lightning Pose says of them in pixels of a 406 x 396 original.
The weights that Hugging Face would send are random instead: `from_pretrained` builds the same architecture.
"""

import sys
import time
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from lightning_pose.api import Model
from lightning_pose.data import _IMAGENET_MEAN, _IMAGENET_STD
from lightning_pose.models import factory
from omegaconf import OmegaConf

ORIGINAL = (406, 396)  # height, width
KEYPOINTS = 5
LOGITS = 1.0  # spread within a map: confidences then lie between 0 and 1, so that rounding does not choose the answer


def random_transformers():
    import transformers as t

    small = {"hidden_size": 384, "num_attention_heads": 6}
    base = {"hidden_size": 768, "num_attention_heads": 12}

    def plain(**k):
        return t.ViTModel(t.ViTConfig(**k, intermediate_size=4 * k["hidden_size"]), add_pooling_layer=False)

    def dinov2(**k):
        return t.Dinov2Model(t.Dinov2Config(**k, image_size=518, patch_size=14))

    def dinov3(**k):
        settings = t.DINOv3ViTConfig(**k, intermediate_size=4 * k["hidden_size"], num_register_tokens=4, image_size=224)
        return t.DINOv3ViTModel(settings)

    def hiera(**k):
        return t.Sam2Model(t.Sam2Config(vision_config={"backbone_config": {"model_type": "sam2_hiera_det_model", **k}}))

    models = {
        "facebook/dino-vits16": lambda: plain(**small), "facebook/dino-vitb16": lambda: plain(**base),
        "facebook/vit-mae-base": lambda: plain(**base),
        "facebook/dinov2-small": lambda: dinov2(**small), "facebook/dinov2-base": lambda: dinov2(**base),
        "facebook/dinov3-vits16-pretrain-lvd1689m": lambda: dinov3(**small),
        "facebook/dinov3-vitb16-pretrain-lvd1689m": lambda: dinov3(**base),
        "facebook/sam-vit-base": lambda: t.SamModel(t.SamConfig()),
        "facebook/sam2.1-hiera-tiny": lambda: hiera(),
        "facebook/sam2.1-hiera-small": lambda: hiera(blocks_per_stage=[1, 2, 11, 2], global_attention_blocks=[7, 10, 13]),
        "facebook/sam2.1-hiera-base-plus": lambda: hiera(
            hidden_size=112, embed_dim_per_stage=[112, 224, 448, 896], num_attention_heads=2,
            num_attention_heads_per_stage=[2, 4, 8, 16], blocks_per_stage=[2, 3, 16, 3],
            global_attention_blocks=[12, 16, 20], window_positional_embedding_background_size=[14, 14]),
    }  # fmt: skip
    for cls in (t.ViTModel, t.AutoModel, t.SamModel):
        cls.from_pretrained = classmethod(lambda _, name, **__: models[name]())


def config(kind, backbone, size):
    return OmegaConf.create({
        "data": {"image_resize_dims": {"height": size, "width": size}, "data_dir": "/nowhere", "video_dir": "/nowhere",
                 "csv_file": "x.csv", "num_keypoints": KEYPOINTS, "downsample_factor": 2,
                 "keypoint_names": [f"point{i}" for i in range(KEYPOINTS)], "mirrored_column_matches": [],
                 "columns_for_singleview_pca": []},
        "training": {"rng_seed_model_pt": 0, "optimizer": "Adam", "optimizer_params": {"learning_rate": 1e-3},
                     "lr_scheduler": "multisteplr", "lr_scheduler_params": {"multisteplr": {"milestones": [1], "gamma": 0.5}}},
        "model": {"losses_to_use": [], "backbone": backbone, "backbone_pretrained": False, "model_type": kind,
                  "heatmap_loss_type": "mse", "model_name": "original"},
        "losses": {}, "dali": {"general": {"seed": 0}},
    })  # fmt: skip


def frames(count, size):
    generator = torch.Generator().manual_seed(1)
    noise = torch.rand(count, 3, size // 16, size // 16, generator=generator)
    image = torch.nn.functional.interpolate(noise, size=(size, size), mode="bicubic").clamp(0, 1)
    return (255 * image).round().to(torch.uint8)


def normalised(images):
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (_IMAGENET_MEAN, _IMAGENET_STD))
    return (images.float() / 255 - mean) / std


def spread(maps):
    return maps.std((-2, -1)).mean()


def peaky(model, images):
    """Batch statistics like those of a trained network, and heads whose maps have peaks somewhere."""
    norms = [m for m in model.eval().modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for name, module in model.backbone.named_modules():
            if name.endswith(("bn2", "bn3")):
                module.weight.fill_(0.2)  # residual branches of trained networks are smaller: rounding grows less
        for norm in norms:
            norm.momentum = None  # an average of all batches
            norm.train()
        model.backbone(images)
        model.eval()
        features = model.backbone(images)
        generator = torch.Generator().manual_seed(2)
        for name, weight in model.head.named_parameters():
            if name.endswith("weight"):
                weight.normal_(generator=generator).mul_(weight[0].numel() ** -0.5)
        if hasattr(model.head, "linear_layer"):
            linear = model.head.linear_layer
            linear.weight.mul_(30 / linear(features.flatten(1)).std(0).mean())  # pixels
            linear.bias.copy_(images.shape[-1] / 2 - linear(features.flatten(1)).mean(0))
            return
        heads = [model.head] if hasattr(model.head, "upsampling_layers") else [model.head.head_sf]
        for head in heads:
            scale = LOGITS / spread(head.upsampling_layers(features))
            head.upsampling_layers[-1].weight.mul_(scale)
        if hasattr(model.head, "head_mf"):
            windows = torch.stack([features[i : i + 5] for i in range(2)], dim=1)
            softmax = sys.modules["lightning_pose.models.heads.heatmap_mhcrnn"]
            kept, softmax.spatial_softmax2d = softmax.spatial_softmax2d, lambda maps, temperature: maps
            for weight in (model.head.head_mf.W_f.weight, model.head.head_mf.W_b.weight):
                weight.mul_(LOGITS / spread(model.head.head_mf(windows)))
            softmax.spatial_softmax2d = kept


def make_run(out, kind, backbone, size):
    cfg = config(kind, backbone, size)
    model = factory.get_model(cfg, None, {"supervised": None, "unsupervised": None})
    peaky(model, normalised(frames(6, size)))
    folder = out / "run" / "tb_logs" / "original" / "version_0" / "checkpoints"
    folder.mkdir(parents=True)
    OmegaConf.save(cfg, out / "run" / "config.yaml")
    trainer = pl.Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(folder / "epoch=1-step=10-best.ckpt")
    return out / "run"


def predict(out, run):
    loaded = Model.from_dir(run)
    loaded._load()
    model, dims = loaded.model.eval(), loaded.cfg.data.image_resize_dims
    context = loaded.cfg.model.model_type == "heatmap_mhcrnn"
    images = frames(12, dims.height)[..., : dims.width]
    rows = len(images) - 4 if context else len(images)
    batch = {"frames": normalised(images), "is_multiview": False, "transforms": torch.tensor([-1.0]),
             "bbox": torch.tensor([[0.0, 0.0, *ORIGINAL]]).repeat(rows, 1)}  # fmt: skip
    seconds = []
    with torch.inference_mode():
        for _ in range(3):
            start = time.perf_counter()
            keypoints, confidence = model.predict_step(
                {k: v.clone() if k == "bbox" else v for k, v in batch.items()}, 0
            )
            seconds.append(time.perf_counter() - start)
    np.savez(out / "original.npz", frames=images.numpy(), keypoints=keypoints.reshape(rows, -1, 2).numpy(),
             confidence=confidence.numpy(), original=np.array(ORIGINAL), fps=len(images) / min(seconds))  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    random_transformers()
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    predict(out, Path(sys.argv[2]) if len(sys.argv) == 3 else make_run(out, *sys.argv[2:4], int(sys.argv[4])))
