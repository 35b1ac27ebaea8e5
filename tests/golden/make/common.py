"""Shared by the golden scripts: determinism, non-degenerate random weights, writing safetensors with provenance."""

import json
import math
import pathlib
import shutil
import struct

import torch
from safetensors.torch import save_file

GOLDEN = pathlib.Path(__file__).resolve().parent.parent

torch.set_num_threads(2)
torch.use_deterministic_algorithms(True)
torch.set_default_dtype(torch.float32)


def versions():
    import diffusers
    import peft
    import transformers

    return {
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
        "transformers": transformers.__version__,
        "peft": peft.__version__,
    }


def fresh(topic):
    """Empty folder tests/golden/<topic>."""
    folder = GOLDEN / topic
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def normal(generator, *shape, std=1.0, mean=0.0):
    return torch.randn(*shape, generator=generator) * std + mean


def generator(seed):
    return torch.Generator().manual_seed(seed)


def perturb(model, seed):
    """Give every parameter a value whose omission would show: no unit norm weights, no zero biases or layers."""
    g = generator(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if p.dim() == 1 and name.endswith("weight"):
                p.copy_(normal(g, *p.shape, std=0.2, mean=1.0))
            elif p.dim() == 1:
                p.copy_(normal(g, *p.shape, std=0.1))
            elif "embedding.weight" in name:
                p.copy_(normal(g, *p.shape, std=0.7))
            else:
                p.copy_(normal(g, *p.shape, std=1.0 / math.sqrt(p[0].numel())))
    return model


def write(path, tensors, seed, config=None, **facts):
    """f32 (ids and steps i64) tensors; metadata says what made them."""
    out = {}
    for key, value in tensors.items():
        value = value.detach() if isinstance(value, torch.Tensor) else torch.as_tensor(value)
        integral = value.dtype in (torch.int32, torch.int64, torch.bool)
        value = value.to(torch.int64 if integral else torch.float32)
        assert integral or torch.isfinite(value).all(), f"{path}: {key} is not finite"
        out[key] = value.contiguous().clone()
    meta = {**versions(), "seed": seed, "config": config or {}, **facts}
    meta = {k: v if isinstance(v, str) else json.dumps(v, sort_keys=True) for k, v in meta.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(out, str(path), metadata=meta)
    sort_header(path)


def sort_header(path):
    """save_file orders the metadata by a random hash; sorted keys make a rerun give the same bytes."""
    data = path.read_bytes()
    end = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:end])
    meta = {k: header["__metadata__"][k] for k in sorted(header["__metadata__"])}
    text = json.dumps({**header, "__metadata__": meta}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[end:])
    path.chmod(0o644)  # save_file makes files that only the owner can read


def save_part(model, folder):
    """Ordinary diffusers folder of one model part: config.json + diffusion_pytorch_model.safetensors."""
    model.save_pretrained(str(folder), safe_serialization=True)
    sort_header(folder / "diffusion_pytorch_model.safetensors")


def config_of(model):
    return {k: v for k, v in dict(model.config).items() if not k.startswith("_")}
