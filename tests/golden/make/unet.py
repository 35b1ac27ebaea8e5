"""Tiny UNet2DConditionModel cases: prediction, loss and gradients of the bare model and of PEFT adapters on it."""

import math

import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

from common import config_of, fresh, generator, normal, perturb, save_part, write

ATTENTION_FF = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2"]
CONV = ["conv1", "conv2", "conv_shortcut", "proj_in", "downsamplers.0.conv", "upsamplers.0.conv"]
RANK = 4

TWO_LEVELS = dict(
    in_channels=4,
    out_channels=4,
    sample_size=8,
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
)

# name: (config, latent height, latent width, tokens, extra adapters, full weight gradients)
CASES = {
    "sd1": (
        dict(TWO_LEVELS, block_out_channels=(8, 16), layers_per_block=2, norm_num_groups=4,
             cross_attention_dim=20, attention_head_dim=4),
        8, 8, 7, (), True,
    ),
    "sd1_conv": (
        dict(TWO_LEVELS, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
             cross_attention_dim=12, attention_head_dim=2),
        8, 16, 5, ("dora_conv", "lora_conv"), False,
    ),
    "sd2": (
        dict(TWO_LEVELS, block_out_channels=(8, 24), layers_per_block=1, norm_num_groups=8,
             cross_attention_dim=28, attention_head_dim=[2, 3], use_linear_projection=True),
        16, 8, 7, (), False,
    ),
    "sdxl": (
        dict(in_channels=4, out_channels=4, sample_size=8, block_out_channels=(8, 12, 16), layers_per_block=1,
             down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
             up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), norm_num_groups=4,
             transformer_layers_per_block=[1, 1, 2], attention_head_dim=[2, 3, 4], use_linear_projection=True,
             cross_attention_dim=20, addition_embed_type="text_time", addition_time_embed_dim=6,
             projection_class_embeddings_input_dim=10 + 6 * 6),
        8, 12, 7, (), False,
    ),
    "scale_shift": (
        dict(TWO_LEVELS, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
             cross_attention_dim=12, attention_head_dim=2, resnet_time_scale_shift="scale_shift"),
        8, 8, 5, (), False,
    ),
}


def inputs(config, height, width, tokens, seed):
    g = generator(seed)
    made = {
        "sample": normal(g, 2, 4, height, width),
        "timestep": torch.tensor([17, 742]),
        "encoder_hidden_states": normal(g, 2, tokens, config["cross_attention_dim"]),
        "target": normal(g, 2, 4, height, width),
    }
    if config.get("addition_embed_type") == "text_time":
        pooled = config["projection_class_embeddings_input_dim"] - 6 * config["addition_time_embed_dim"]
        made["text_embeds"] = normal(g, 2, pooled)
        made["time_ids"] = torch.tensor([[64.0, 96.0, 0.0, 8.0, 64.0, 96.0], [100.0, 72.0, 5.0, 0.0, 64.0, 96.0]])
    return made


def run(unet, given):
    added = {k: given[k] for k in ("text_embeds", "time_ids") if k in given} or None
    prediction = unet(given["sample"], given["timestep"], given["encoder_hidden_states"],
                      added_cond_kwargs=added).sample
    return prediction, ((prediction - given["target"]) ** 2).mean()


def file_key(name):
    name = name.replace(".lora_magnitude_vector.default.weight", ".lora_magnitude_vector")
    return "unet." + name.replace(".default", "")


def adapter_case(unet_folder, given, kind, seed, out, config):
    unet = UNet2DConditionModel.from_pretrained(unet_folder, low_cpu_mem_usage=False).eval().requires_grad_(False)
    targets = ATTENTION_FF + (CONV if kind.endswith("_conv") else [])
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, use_dora=kind.startswith("dora"), target_modules=targets))
    trainable = {file_key(n): p for n, p in unet.named_parameters() if p.requires_grad}
    g = generator(seed)
    with torch.no_grad():
        for key, p in sorted(trainable.items()):
            if key.endswith("lora_A.weight"):
                p.copy_(normal(g, *p.shape, std=1 / math.sqrt(p[0].numel())))
            elif key.endswith("lora_B.weight"):
                p.copy_(normal(g, *p.shape, std=0.25))
            else:
                p.mul_(normal(g, *p.shape, std=0.2, mean=1.0))
    saved = {"unet." + k: v for k, v in get_peft_model_state_dict(unet).items()}
    assert set(saved) == set(trainable) and all(torch.equal(saved[k], trainable[k]) for k in saved)
    write(out / f"{kind}.safetensors", saved, seed, config, format="pt", rank=RANK, alpha=RANK)
    prediction, loss = run(unet, given)
    loss.backward()
    result = {"prediction": prediction, "loss": loss}
    result.update({f"grad.{k}": p.grad for k, p in trainable.items()})
    write(out / f"{kind}.io.safetensors", result, seed, config, targets=targets)
    return prediction


def main():
    root = fresh("unet")
    for index, (case, (settings, height, width, tokens, extra, full)) in enumerate(CASES.items()):
        seed = 100 + 10 * index
        torch.manual_seed(seed)
        out = root / case
        unet = perturb(UNet2DConditionModel(**settings), seed + 1).eval()
        save_part(unet, out / "unet")
        config = config_of(unet)
        given = inputs(settings, height, width, tokens, seed + 2)
        prediction, loss = run(unet, given)
        write(out / "io.safetensors", {**given, "prediction": prediction, "loss": loss}, seed, config)
        if full:
            loss.backward()
            grads = {f"grad.{n}": p.grad for n, p in unet.named_parameters()}
            write(out / "full.io.safetensors", {"prediction": prediction, "loss": loss, **grads}, seed, config)
        line = f"{case}: loss {loss.item():.4f}, prediction std {prediction.std().item():.3f}"
        for offset, kind in enumerate(("lora", "dora", *extra)):
            moved = adapter_case(out / "unet", given, kind, seed + 3 + offset, out, config) - prediction
            line += f", {kind} moves it by {moved.std().item():.3f}"
        print(line)


main()
