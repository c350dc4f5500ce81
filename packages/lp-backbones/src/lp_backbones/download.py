"""timm's pretrained weights: from the cache without asking the network, else downloaded, else one clear sentence."""

import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import getproxies, proxy_bypass

import huggingface_hub
import timm
import torch
from huggingface_hub import constants
from lp_core import ConfigError
from torch import nn

CACHED_NAMES = ("model.safetensors", "pytorch_model.bin")
PATIENCE = 4.0  # seconds until a server that does not answer counts as unreachable
REMEDIES = "set backbone.weights=FILE or backbone.pretrained=false"


def fetched(name: str, arguments: dict[str, Any]) -> nn.Module:
    """The timm model `name` with its pretrained weights.

    Raises:
        ConfigError: timm has no weights for it, or they are not in the cache and cannot be downloaded.
    """
    overlay = _source(name)
    try:
        return timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **arguments)
    except Exception as e:  # whatever the server, the disk or the file does
        reason = (str(e).strip().splitlines() or [type(e).__name__])[0].rstrip(".")
        raise ConfigError(f"The weights of {name} cannot be loaded ({reason}); {REMEDIES}.") from e


def _source(name: str) -> dict[str, str]:
    """`{"file": path}` for weights in the cache, nothing if timm must download them."""
    cfg = timm.get_pretrained_cfg(name)
    if cfg is None or not cfg.has_weights:
        raise ConfigError(f"timm has no pretrained weights for {name}; {REMEDIES}.")
    if cfg.hf_hub_id:
        repository = cfg.hf_hub_id.partition("@")[0]
        for file in CACHED_NAMES if not cfg.hf_hub_filename else ():
            if isinstance(path := huggingface_hub.try_to_load_from_cache(repository, file), str):
                return {"file": path}
        url, ready = constants.ENDPOINT, not constants.HF_HUB_OFFLINE
    else:
        url, ready = cfg.url[0] if isinstance(cfg.url, tuple) else str(cfg.url), True
        if (Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name).exists():
            return {}
    if not (ready and reachable(url)):
        raise ConfigError(f"The weights of {name} must be downloaded and {_host(url)} cannot be reached; {REMEDIES}.")
    return {}


def _host(url: str) -> str:
    return urlparse(url).hostname or url


def reachable(url: str, patience: float = PATIENCE) -> bool:
    """Whether the server of `url`, or the proxy towards it, accepts a connection within `patience` seconds."""
    proxy = getproxies().get(urlparse(url).scheme)
    parts = urlparse(proxy if proxy and not proxy_bypass(_host(url)) else url)
    port = parts.port or {"http": 80}.get(parts.scheme, 443)
    answered = threading.Event()

    def knock() -> None:  # in a thread, since no timeout bounds the look-up of a name
        try:
            socket.create_connection((parts.hostname or "", port), timeout=patience).close()
            answered.set()
        except OSError:
            pass

    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    thread.join(patience)
    return answered.is_set()
