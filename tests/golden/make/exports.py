"""What PEFT, diffusers and LyCORIS make of adapter files: of Adora's (exports/ours) and of their own (exports/theirs).

Base: unet/sd1_conv/unet. `ours/<case>.safetensors` is written by the test itself (ADORA_RECORD=1, see README); this script
loads each of them with the programs and records the weights that they then compute with:
`ours.io.safetensors`: <case>.<program>.<path>, f32.
`theirs/<case>.safetensors` are made here, alpha not the rank: lycoris_output, lycoris_input (DoRA per output and input),
lycoris_lora, lycoris_rs (rank-stabilised), peft (diffusers' own saving, with its configuration as metadata).
`theirs.io.safetensors`: <case>.<path>: the merged weight by the program that made the file.
"""

import json
import pathlib

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_lora_to_diffusers
from lycoris.modules.locon import LoConModule
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from common import GOLDEN, generator, normal, sort_header, write

SEED = 21
BLOCK = "down_blocks.0.attentions.0"
LAYERS = [
    f"{BLOCK}.proj_in", f"{BLOCK}.transformer_blocks.0.attn1.to_q", f"{BLOCK}.transformer_blocks.0.attn2.to_k",
    f"{BLOCK}.transformer_blocks.0.ff.net.2", "down_blocks.0.resnets.0.conv1", "down_blocks.1.resnets.0.conv_shortcut",
]


def fresh_unet():
    return UNet2DConditionModel.from_pretrained(str(GOLDEN / "unet/sd1_conv/unet"))


def flat(path):
    return "lora_unet_" + path.replace(".", "_")


def lycoris_module(unet, path, rank, alpha, axis, rs=False):
    return LoConModule(flat(path), unet.get_submodule(path), 1, rank, alpha, weight_decompose=axis is not None,
                       wd_on_out=axis == "output", rs_lora=rs)


@torch.no_grad()
def by_lycoris(state):
    unet = fresh_unet()
    merged = {}
    for path in LAYERS:
        name = flat(path)
        scale = state.get(f"{name}.dora_scale")
        down = state[f"{name}.lora_down.weight"].float()
        axis = None if scale is None else "input" if scale.shape[0] == 1 else "output"
        module = lycoris_module(unet, path, down.shape[0], float(state[f"{name}.alpha"]), axis)
        module.lora_down.weight.copy_(down)
        module.lora_up.weight.copy_(state[f"{name}.lora_up.weight"].float())
        if scale is not None:
            module.dora_scale.copy_(scale)
        merged[path] = module.get_merged_weight(1)[0]
    return merged


@torch.no_grad()
def by_diffusers(state):
    """Through the loaders; a file in kohya's layout is converted by them first."""
    unet = fresh_unet()
    alphas = None
    if any(key.startswith("lora_unet_") for key in state):
        state, alphas = _convert_non_diffusers_lora_to_diffusers(dict(state))
    unet.load_lora_adapter({k: v.float() for k, v in state.items()}, network_alphas=alphas, prefix="unet")
    layers = dict(unet.named_modules())
    unet.fuse_lora()
    return {path: layers[path].base_layer.weight for path in LAYERS}


def ours():
    tensors = {}
    for file in sorted((GOLDEN / "exports/ours").glob("*.safetensors")):
        state = load_file(str(file))
        is_kohya = any(key.startswith("lora_unet_") for key in state)
        has_magnitudes = any("dora_scale" in key for key in state)
        programs = {"lycoris": by_lycoris} if is_kohya else {"diffusers": by_diffusers}
        if is_kohya and not has_magnitudes:
            programs["diffusers"] = by_diffusers
        for program, load in programs.items():
            for path, weight in load(state).items():
                tensors[f"{file.stem}.{program}.{path}"] = weight
    write(GOLDEN / "exports/ours.io.safetensors", tensors, SEED, layers=LAYERS)


@torch.no_grad()
def theirs():
    folder = GOLDEN / "exports/theirs"
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    cases = {"lycoris_output": ("output", False), "lycoris_input": ("input", False), "lycoris_lora": (None, False),
             "lycoris_rs": (None, True)}
    for case, (axis, rs) in cases.items():
        unet = fresh_unet()
        g = generator(SEED)
        state = {}
        for path in LAYERS:
            module = lycoris_module(unet, path, 3, 2, axis, rs)
            module.lora_down.weight.copy_(normal(g, *module.lora_down.weight.shape))
            module.lora_up.weight.copy_(normal(g, *module.lora_up.weight.shape, std=0.1))
            if axis:
                module.dora_scale.mul_(1 + 0.1 * normal(g, *module.dora_scale.shape))
            for key, value in module.custom_state_dict().items():
                state[f"{flat(path)}.{key}"] = value.detach().clone().contiguous()
            tensors[f"{case}.{path}"] = module.get_merged_weight(1)[0]
        args = {"algo": "lora"} if axis is None else {"algo": "lora", "dora_wd": True, "wd_on_output": axis == "output"}
        file = folder / f"{case}.safetensors"
        save_file(state, str(file), metadata={"ss_network_module": "lycoris.kohya", "ss_network_args": json.dumps(args)})
        sort_header(file)
    unet = fresh_unet()
    config = LoraConfig(r=3, lora_alpha=2, target_modules=LAYERS)
    unet.add_adapter(config)
    g = generator(SEED)
    for name, parameter in sorted(unet.named_parameters()):
        if "lora_" in name:
            parameter.copy_(normal(g, *parameter.shape, std=1 if "lora_A" in name else 0.1))
    StableDiffusionPipeline.save_lora_weights(str(folder), unet_lora_layers=get_peft_model_state_dict(unet),
                                              weight_name="peft.safetensors", unet_lora_adapter_metadata=config.to_dict())
    sort_header(folder / "peft.safetensors")
    layers = dict(unet.named_modules())
    unet.fuse_lora()
    for path in LAYERS:
        tensors[f"peft.{path}"] = layers[path].base_layer.weight
    write(GOLDEN / "exports/theirs.io.safetensors", tensors, SEED, layers=LAYERS)


theirs()
if (GOLDEN / "exports/ours").exists():
    ours()
