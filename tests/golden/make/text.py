"""Adapters with text encoders on pipelines/sd1 and pipelines/sdxl, by the loaders and trainers of the libraries themselves.

text/theirs/<kind>_<case>.safetensors, alpha never the rank, and text/io/<kind>_<case>.safetensors: <path>.weight, merged by the
library that made the file (of SDXL two cases only). peft_lora, peft_dora: saved by diffusers; the UNet is rank-stabilised, with alphas and ranks by
expressions. lycoris_lora (rs_lora, use_scalar), lycoris_input (the same as DoRA per input, other ranks of convolutions),
lycoris_output (DoRA per output, Tucker), lycoris_norms (after scale_weight_norms): by lycoris.kohya's network.
text/ours/<kind>_<case>.safetensors is written by tests/train/text-golden.test.ts (ADORA_RECORD=1), and loaded here with
`load_lora_weights`: text/io/<kind>_<case>.safetensors has the weights that the pipeline then computes with.
text/<kind>.step.safetensors: a step that trains UNet and text encoders, clip skip 2: `adapter.<key>` (DoRA per output, rank 3 =
alpha), `loss`, `grad.<key>`; prompts PROMPTS[0] and PROMPTS[2] of pipelines.py, the rest from its io.safetensors.
"""

import json
import tempfile

import lycoris.kohya
import torch
from diffusers import (AutoencoderKL, DDIMScheduler, EulerDiscreteScheduler, StableDiffusionPipeline,
                       StableDiffusionXLPipeline, UNet2DConditionModel)
from peft import LoraConfig, inject_adapter_in_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from common import GOLDEN, fresh, generator, normal, sort_header, versions, write

SEED = 41
PROMPTS = ["A red House, at (sun:1.2);", "café  naïve 42"]
UNET = ["mid_block.attentions.0.proj_in", "mid_block.resnets.0.conv1", "attn2.to_k"]
TEXT = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
PRESET = """enable_conv = true
unet_target_module = ["UNetMidBlock2DCrossAttn"]
unet_target_name = []
text_encoder_target_module = ["CLIPAttention", "CLIPMLP"]
text_encoder_target_name = []
"""


def pipeline(kind):
    root = str(GOLDEN / "pipelines" / kind)
    common = dict(
        unet=UNet2DConditionModel.from_pretrained(f"{root}/unet"), vae=AutoencoderKL.from_pretrained(f"{root}/vae"),
        text_encoder=CLIPTextModel.from_pretrained(f"{root}/text_encoder", attn_implementation="eager"),
        tokenizer=CLIPTokenizer.from_pretrained(f"{root}/tokenizer"))
    if kind == "sd1":
        return StableDiffusionPipeline(scheduler=DDIMScheduler.from_pretrained(f"{root}/scheduler"), safety_checker=None,
                                       feature_extractor=None, requires_safety_checker=False, **common)
    return StableDiffusionXLPipeline(
        scheduler=EulerDiscreteScheduler.from_pretrained(f"{root}/scheduler"),
        text_encoder_2=CLIPTextModelWithProjection.from_pretrained(f"{root}/text_encoder_2", attn_implementation="eager"),
        tokenizer_2=CLIPTokenizer.from_pretrained(f"{root}/tokenizer_2"), **common)


def parts(pipe):
    return {c: getattr(pipe, c) for c in ("unet", "text_encoder", "text_encoder_2") if getattr(pipe, c, None) is not None}


def path_of(component, name):
    """As checkpoints name it; transformers 5 has no `text_model` in CLIPTextModel."""
    inner = "" if component == "unet" or name.startswith("text_") else "text_model."
    return f"{component}.{inner}{name.replace('.base_layer', '')}"


def changed(pipe, kind):
    before = {path_of(c, n): p for c, m in parts(pipeline(kind)).items() for n, p in m.named_parameters()}
    after = {path_of(c, n): p.detach() for c, m in parts(pipe).items() for n, p in m.named_parameters() if "lora_" not in n}
    return {path: p for path, p in after.items() if not torch.equal(p, before[path])}


@torch.no_grad()
def fill(named, g):
    for name, p in sorted(named):
        if name.endswith("scalar"):
            p.fill_(0.7)
        elif "lora_up" in name or "lora_B" in name:
            p.copy_(normal(g, *p.shape, std=0.1))
        elif "lora_down" in name or "lora_mid" in name or "lora_A" in name:
            p.copy_(normal(g, *p.shape, std=0.5))
        else:
            p.mul_(1 + 0.1 * normal(g, *p.shape))


def inject(model, config, g):
    inject_adapter_in_model(config, model)
    fill([(n, p) for n, p in model.named_parameters() if "lora_" in n], g)


def by_peft(top, kind, dora):
    pipe, case = pipeline(kind), f"{kind}_peft_{'dora' if dora else 'lora'}"
    layers = {}
    for component, model in parts(pipe).items():
        config = LoraConfig(r=3, lora_alpha=4, use_dora=dora, target_modules=TEXT) if component != "unet" else LoraConfig(
            r=3, lora_alpha=2, use_dora=dora, use_rslora=True, target_modules=UNET,
            alpha_pattern={"down_blocks.*to_k": 5, "proj_in": 1}, rank_pattern={"mid_block.*conv1": 2})
        inject(model, config, generator(SEED))
        text = {**config.to_dict(), "target_modules": sorted(config.target_modules)}  # a set has no order
        layers |= {f"{component}_lora_layers": get_peft_model_state_dict(model), f"{component}_lora_adapter_metadata": text}
    folder = top / "theirs"
    type(pipe).save_lora_weights(str(folder), weight_name=f"{case}.safetensors", **layers)
    sort_header(folder / f"{case}.safetensors")
    merge(pipe)
    write(top / f"io/{case}.safetensors", changed(pipe, kind), SEED)


def merge(pipe):
    for model in parts(pipe).values():
        for module in model.modules():
            if hasattr(module, "lora_A") and hasattr(module, "merge"):
                module.merge()


def by_lycoris(top, kind, case, **settings):
    pipe = pipeline(kind)
    texts = [pipe.text_encoder, pipe.text_encoder_2] if kind == "sdxl" else pipe.text_encoder
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as preset:
        preset.write(PRESET)
        preset.flush()
        network = lycoris.kohya.create_network(1.0, 3, 2, None, texts, pipe.unet, preset=preset.name,
                                               **{k: str(v) for k, v in settings.items()})
    network.apply_to(texts, pipe.unet, True, True)
    g, modules = generator(SEED), network.text_encoder_loras + network.unet_loras
    for module in modules:
        fill([(n, p) for n, p in module.named_parameters() if n.startswith("lora_") or n in ("scalar", "dora_scale")], g)
    if case == "lycoris_norms":
        assert network.apply_max_norm_regularization(0.5, "cpu")[0] > 0
    file = top / f"theirs/{kind}_{case}.safetensors"
    network.save_weights(str(file), torch.float32,
                         {"ss_network_module": "lycoris.kohya", "ss_network_args": json.dumps(settings), **versions()})
    sort_header(file)
    prefixes = {"unet": "lora_unet_", "text_encoder": "lora_te1_" if kind == "sdxl" else "lora_te_", "text_encoder_2": "lora_te2_"}
    paths = {prefixes[c] + n.replace(".", "_"): path_of(c, f"{n}.weight") for c, m in parts(pipeline(kind)).items()
             for n, _ in m.named_modules()}
    write(top / f"io/{kind}_{case}.safetensors", {paths[m.lora_name]: m.get_merged_weight(1.0)[0] for m in modules}, SEED)


def ours(top):
    for file in sorted((top / "ours").glob("*.safetensors")):
        kind = file.stem.split("_")[0]
        pipe = pipeline(kind)
        pipe.load_lora_weights(str(top / "ours"), weight_name=file.name, local_files_only=True)
        merge(pipe)
        write(top / f"io/{file.stem}.safetensors", changed(pipe, kind), SEED)


def step(top, kind):
    pipe, io = pipeline(kind), load_file(str(GOLDEN / "pipelines" / kind / "io.safetensors"))
    is_double = kind == "sdxl"
    trained = {}
    for component, model in parts(pipe).items():
        model.eval().requires_grad_(False)
        # The second encoder of SDXL gives its pooled form behind all layers; nothing else reaches the last one.
        only = {} if component in ("unet", "text_encoder_2") else {"layers_to_transform": [0], "layers_pattern": "layers"}
        inject(model, LoraConfig(r=3, lora_alpha=3, use_dora=True, **only,
                                 target_modules=["to_q", "to_k", "to_v", "to_out.0"] if component == "unet" else TEXT[:4]), generator(SEED))
        for name, p in model.named_parameters():
            if "lora_" in name:
                trained[path_of(component, name).replace(".default", "")] = p.requires_grad_(True)
    contexts, added = [], None
    for index, text in enumerate(["text_encoder", "text_encoder_2"][: 2 if is_double else 1]):
        tokenizer = getattr(pipe, "tokenizer" if index == 0 else "tokenizer_2")
        encoder = getattr(pipe, text)
        ids = torch.tensor([tokenizer(p, padding="max_length", truncation=True).input_ids for p in PROMPTS])
        out = encoder(ids, output_hidden_states=True)
        states = out.hidden_states[-2]
        contexts.append(states if is_double else encoder.final_layer_norm(states))
        if index == 1:
            added = {"text_embeds": out.text_embeds, "time_ids": io["time_ids"]}
    prediction = pipe.unet(io["noisy"], io["timestep"], torch.cat(contexts, dim=2), added_cond_kwargs=added).sample
    loss = ((prediction - io["target"]) ** 2).mean()
    loss.backward()
    assert all(p.grad.abs().max() > 0 for p in trained.values())
    write(top / f"{kind}.step.safetensors", {"loss": loss, **{f"adapter.{k}": p for k, p in trained.items()},
                                             **{f"grad.{k}": p.grad for k, p in trained.items()}}, SEED, prompts=PROMPTS)
    print(kind, "loss", loss.item(), len(trained))


def main():
    top = GOLDEN / "text"
    fresh("text/theirs")
    fresh("text/io")
    for kind in ("sd1", "sdxl"):
        by_peft(top, kind, True)
        by_lycoris(top, kind, "lycoris_input", algo="lora", dora_wd=True, wd_on_output=False, rs_lora=True, use_scalar=True,
                   conv_dim=2, conv_alpha=3)
        step(top, kind)
    by_peft(top, "sd1", False)
    by_lycoris(top, "sd1", "lycoris_lora", algo="lora", rs_lora=True, use_scalar=True)
    by_lycoris(top, "sd1", "lycoris_output", algo="lora", dora_wd=True, wd_on_output=True, use_tucker=True, conv_dim=2,
               conv_alpha=3)
    by_lycoris(top, "sd1", "lycoris_norms", algo="lora", conv_dim=2, conv_alpha=1)
    ours(top)


main()
