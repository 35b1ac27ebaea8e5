"""Adapter files as PEFT, diffusers and LyCORIS write them, with the weights that these libraries make of them.

Base: unet/sd1_conv/unet; alpha is never the rank, and every file has linear layers and convolutions (3x3, 1x1, stride 2).
`foreign/<case>.safetensors`, and `<case>.f16.safetensors` with all tensors rounded: the weights recorded for it are those of the
rounded values. `foreign/io.safetensors`: <case>[.f16].<path>, merged by the library that made the file, f32.
LyCORIS: tucker, tucker_output, tucker_input (convolutions in Tucker form, alone and as DoRA per output and input), wrapper
(names of its own wrapper). PEFT: peft_dora, peft_rslora (with alpha and rank patterns), each saved by diffusers, whose
configuration travels in the metadata; peft_folder: PEFT's own saving, with adapter_config.json beside it.
"""

import json
import shutil

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from lycoris import create_lycoris
from lycoris.modules.locon import LoConModule
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from common import GOLDEN, fresh, generator, normal, sort_header, versions, write

SEED = 31
BLOCK = "down_blocks.0.attentions.0"
LAYERS = [
    f"{BLOCK}.proj_in", f"{BLOCK}.transformer_blocks.0.attn1.to_q", f"{BLOCK}.transformer_blocks.0.attn2.to_k",
    f"{BLOCK}.transformer_blocks.0.ff.net.2", "down_blocks.0.resnets.0.conv1", "down_blocks.0.downsamplers.0.conv",
    "down_blocks.1.resnets.0.conv_shortcut",
]


def fresh_unet():
    return UNet2DConditionModel.from_pretrained(str(GOLDEN / "unet/sd1_conv/unet"))


def facts():
    import lycoris

    return {**versions(), "lycoris": getattr(lycoris, "__version__", "4.1.3")}


def save(file, state, texts=None):
    save_file({k: v.detach().clone().contiguous() for k, v in state.items()}, str(file), metadata={**facts(), **(texts or {})})
    sort_header(file)


@torch.no_grad()
def fill(named, g, half):
    """Values of no neutral kind; magnitudes near the norms that they start from."""
    for name, p in named:
        if "lora_mid" in name or "lora_down" in name or "lora_A" in name:
            p.copy_(normal(g, *p.shape, std=0.5))
        elif "lora_up" in name or "lora_B" in name:
            p.copy_(normal(g, *p.shape, std=0.2))
        else:
            p.mul_(1 + 0.1 * normal(g, *p.shape))
        if half:
            p.copy_(p.half().float())


def cast(state, half):
    return {k: v.half() if half else v for k, v in state.items()}


def ending(half):
    return ".f16" if half else ""


@torch.no_grad()
def by_lycoris(folder, tensors, case, axis, half):
    unet, g, state = fresh_unet(), generator(SEED), {}
    for path in LAYERS:
        module = LoConModule("x", unet.get_submodule(path), 1, 3, 2, use_tucker=True, weight_decompose=axis is not None,
                             wd_on_out=axis == "output")
        fill([(n, p) for n, p in sorted(module.named_parameters()) if n.startswith("lora_") or n == "dora_scale"], g, half)
        for key, value in module.custom_state_dict().items():
            state[f"lora_unet_{path.replace('.', '_')}.{key}"] = value
        tensors[f"{case}{ending(half)}.{path}"] = module.get_merged_weight(1)[0]
    assert any("lora_mid" in key for key in state)
    args = {"algo": "locon", "use_tucker": True, **({} if axis is None else {"dora_wd": True, "wd_on_output": axis == "output"})}
    save(folder / f"{case}{ending(half)}.safetensors", cast(state, half), {"ss_network_module": "lycoris.kohya", "ss_network_args": json.dumps(args)})


@torch.no_grad()
def by_wrapper(folder, tensors):
    from lycoris import LycorisNetwork

    unet, g = fresh_unet(), generator(SEED)
    LycorisNetwork.apply_preset({"target_module": [], "target_name": LAYERS, "enable_conv": True})
    network = create_lycoris(unet, 1.0, linear_dim=3, linear_alpha=2, conv_dim=2, conv_alpha=1, algo="locon")
    network.apply_to()  # without it nothing is saved
    for module in network.loras:
        fill(sorted(module.named_parameters()), g, False)
    network.save_weights(str(folder / "wrapper.safetensors"), torch.float32, {**facts()})
    sort_header(folder / "wrapper.safetensors")
    names = {path.replace(".", "_"): path for path in LAYERS}
    assert len(network.loras) == len(LAYERS), [m.lora_name for m in network.loras]
    for module in network.loras:
        tensors[f"wrapper.{names[module.lora_name.removeprefix('lycoris_')]}"] = module.get_merged_weight(1)[0]


@torch.no_grad()
def by_peft(folder, tensors, case, half, **settings):
    unet = fresh_unet()
    config = LoraConfig(r=3, lora_alpha=2, target_modules=LAYERS, **settings)
    unet.add_adapter(config)
    fill(sorted((n, p) for n, p in unet.named_parameters() if "lora_" in n), generator(SEED), half)
    name = f"{case}{ending(half)}"
    StableDiffusionPipeline.save_lora_weights(
        str(folder), unet_lora_layers=cast(get_peft_model_state_dict(unet), half), weight_name=f"{name}.safetensors",
        unet_lora_adapter_metadata={**config.to_dict(), "target_modules": LAYERS})  # a set has no order
    again(folder / f"{name}.safetensors")
    layers = dict(unet.named_modules())
    unet.fuse_lora()
    for path in LAYERS:
        tensors[f"{name}.{path}"] = layers[path].base_layer.weight


def again(file):
    """With the versions in its header."""
    with safe_open(str(file), "pt") as opened:
        texts = opened.metadata() or {}
    save(file, load_file(str(file)), texts)


@torch.no_grad()
def by_peft_folder(folder, tensors):
    model = get_peft_model(fresh_unet(), LoraConfig(r=3, lora_alpha=2, target_modules=LAYERS, use_dora=True))
    fill(sorted((n, p) for n, p in model.named_parameters() if "lora_" in n), generator(SEED), False)
    target = folder / "peft_folder"
    model.save_pretrained(str(target))
    (target / "README.md").unlink(missing_ok=True)
    again(target / "adapter_model.safetensors")
    config = json.loads((target / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = None
    config["target_modules"] = sorted(config["target_modules"])
    (target / "adapter_config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    merged = model.merge_and_unload()
    for path in LAYERS:
        tensors[f"peft_folder.{path}"] = merged.get_submodule(path).weight


def main():
    folder, tensors = fresh("foreign"), {}
    for half in (False, True):
        for case, axis in (("tucker", None), ("tucker_output", "output"), ("tucker_input", "input")):
            by_lycoris(folder, tensors, case, axis, half)
        by_peft(folder, tensors, "peft_dora", half, use_dora=True)
        by_peft(folder, tensors, "peft_rslora", half, use_rslora=True, alpha_pattern={LAYERS[1]: 5, LAYERS[4]: 1}, rank_pattern={LAYERS[1]: 4})
    by_wrapper(folder, tensors)
    by_peft_folder(folder, tensors)
    write(folder / "io.safetensors", tensors, SEED, layers=LAYERS, lycoris=facts()["lycoris"])


main()
