"""Key-and-shape lists of published checkpoints in both layouts, and tiny checkpoints with random weights.

keys/<kind>.json.gz      {"configs": {component: config.json}, "diffusers": {component: {key: shape}}, "ldm": {key: shape}}
                         for sd15, sd21, sdxl; the LDM names follow the loops of the original code, written again here.
checkpoints/<kind>.safetensors             tiny checkpoint in LDM names, F32 (sd15), BF16 (sd21) and F16 (sdxl)
checkpoints/<kind>.json.gz                 what diffusers' own conversion makes of it: `<component>.<key>` to shape and
                                           SHA-256 (first 16 digits) of the values as little-endian f32

Every LDM list is converted with diffusers.loaders.single_file_utils and must give exactly the keys and shapes of the
models that diffusers and transformers build from the configurations.
"""

import gzip
import hashlib
import json

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils as rules
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from common import fresh, generator, sort_header

CROSS, PLAIN = "CrossAttn", ""


def unet_config(channels, attends, **more):
    down = [f"{CROSS if a else PLAIN}DownBlock2D" for a in attends]
    up = [f"{CROSS if a else PLAIN}UpBlock2D" for a in reversed(attends)]
    return dict(block_out_channels=channels, down_block_types=down, up_block_types=up, layers_per_block=2, **more)


def vae_config(channels, scale, **more):
    n = len(channels)
    return dict(block_out_channels=channels, down_block_types=["DownEncoderBlock2D"] * n, latent_channels=4,
                up_block_types=["UpDecoderBlock2D"] * n, layers_per_block=2, scaling_factor=scale, **more)


def text_config(width, layers, act, projected=None, vocabulary=49408, positions=77, heads=None):
    return dict(hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, hidden_act=act,
                num_attention_heads=heads or width // 64, vocab_size=vocabulary, max_position_embeddings=positions,
                **({"projection_dim": projected} if projected else {}))


FULL = {
    "sd15": dict(
        unet=unet_config([320, 640, 1280, 1280], [1, 1, 1, 0], attention_head_dim=8, cross_attention_dim=768, sample_size=64),
        vae=vae_config([128, 256, 512, 512], 0.18215, sample_size=512),
        text_encoder=text_config(768, 12, "quick_gelu")),
    "sd21": dict(
        unet=unet_config([320, 640, 1280, 1280], [1, 1, 1, 0], attention_head_dim=[5, 10, 20, 20], cross_attention_dim=1024,
                         sample_size=96, use_linear_projection=True, upcast_attention=True),
        vae=vae_config([128, 256, 512, 512], 0.18215, sample_size=768),
        text_encoder=text_config(1024, 23, "gelu")),
    "sdxl": dict(
        unet=unet_config([320, 640, 1280], [0, 1, 1], attention_head_dim=[5, 10, 20], cross_attention_dim=2048, sample_size=128,
                         use_linear_projection=True, transformer_layers_per_block=[1, 2, 10], addition_embed_type="text_time",
                         addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816),
        vae=vae_config([128, 256, 512, 512], 0.13025, sample_size=1024, force_upcast=True),
        text_encoder=text_config(768, 12, "quick_gelu"),
        text_encoder_2=text_config(1280, 32, "gelu", 1280)),
}
TINY_TEXT = dict(vocabulary=40, positions=9)
TINY = {
    "sd15": dict(
        unet=unet_config([8, 16], [1, 0], attention_head_dim=2, cross_attention_dim=12, sample_size=8, norm_num_groups=4),
        vae=vae_config([8, 12, 16], 0.18215, sample_size=16, norm_num_groups=4),
        text_encoder=text_config(12, 2, "quick_gelu", heads=3, **TINY_TEXT)),
    "sd21": dict(
        unet=unet_config([8, 16], [1, 0], attention_head_dim=[2, 4], cross_attention_dim=16, sample_size=8, norm_num_groups=4,
                         use_linear_projection=True, upcast_attention=True),
        vae=vae_config([8, 16], 0.18215, sample_size=16, norm_num_groups=4),
        text_encoder=text_config(16, 3, "gelu", heads=4, **TINY_TEXT)),
    "sdxl": dict(
        unet=unet_config([8, 12, 16], [0, 1, 1], attention_head_dim=[2, 3, 4], cross_attention_dim=28, sample_size=8,
                         norm_num_groups=4, use_linear_projection=True, transformer_layers_per_block=[1, 1, 2],
                         addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=40),
        vae=vae_config([8, 16], 0.13025, sample_size=16, norm_num_groups=4, force_upcast=True),
        text_encoder=text_config(12, 2, "quick_gelu", heads=3, **TINY_TEXT),
        text_encoder_2=text_config(16, 3, "gelu", 16, heads=4, **TINY_TEXT)),
}


# ---- names of the original code, block by block

def module(name, *shape, bias=True):
    return {f"{name}.weight": list(shape), **({f"{name}.bias": [shape[0]]} if bias else {})}


def resblock(name, inputs, outputs, time):
    out = {**module(f"{name}.in_layers.0", inputs), **module(f"{name}.in_layers.2", outputs, inputs, 3, 3),
           **module(f"{name}.emb_layers.1", outputs, time), **module(f"{name}.out_layers.0", outputs),
           **module(f"{name}.out_layers.3", outputs, outputs, 3, 3)}
    return out if inputs == outputs else {**out, **module(f"{name}.skip_connection", outputs, inputs, 1, 1)}


def transformer(name, c, context, depth, linear):
    kernel = [] if linear else [1, 1]
    out = {**module(f"{name}.norm", c), **module(f"{name}.proj_in", c, c, *kernel), **module(f"{name}.proj_out", c, c, *kernel)}
    for d in range(depth):
        b = f"{name}.transformer_blocks.{d}"
        for attn, source in (("attn1", c), ("attn2", context)):
            out |= {**module(f"{b}.{attn}.to_q", c, c, bias=False), **module(f"{b}.{attn}.to_k", c, source, bias=False),
                    **module(f"{b}.{attn}.to_v", c, source, bias=False), **module(f"{b}.{attn}.to_out.0", c, c)}
        out |= {**module(f"{b}.ff.net.0.proj", 8 * c, c), **module(f"{b}.ff.net.2", c, 4 * c)}
        for i in (1, 2, 3):
            out |= module(f"{b}.norm{i}", c)
    return out


def ldm_unet(config):
    channels, depths = config["block_out_channels"], config.get("transformer_layers_per_block", 1)
    depths = [depths] * len(channels) if isinstance(depths, int) else depths
    attends = ["CrossAttn" in kind for kind in config["down_block_types"]]
    context, linear = config["cross_attention_dim"], config.get("use_linear_projection", False)
    base, time = channels[0], 4 * channels[0]
    out = {**module("time_embed.0", time, base), **module("time_embed.2", time, time)}
    if "projection_class_embeddings_input_dim" in config:
        out |= {**module("label_emb.0.0", time, config["projection_class_embeddings_input_dim"]), **module("label_emb.0.2", time, time)}
    out |= module("input_blocks.0.0", base, 4, 3, 3)
    ch, skips, n = base, [base], 1
    for level, size in enumerate(channels):
        for _ in range(config["layers_per_block"]):
            out |= resblock(f"input_blocks.{n}.0", ch, size, time)
            ch = size
            if attends[level]:
                out |= transformer(f"input_blocks.{n}.1", ch, context, depths[level], linear)
            skips.append(ch)
            n += 1
        if level != len(channels) - 1:
            out |= module(f"input_blocks.{n}.0.op", ch, ch, 3, 3)
            skips.append(ch)
            n += 1
    out |= {**resblock("middle_block.0", ch, ch, time), **transformer("middle_block.1", ch, context, depths[-1], linear),
            **resblock("middle_block.2", ch, ch, time)}
    n = 0
    for level, size in reversed(list(enumerate(channels))):
        for i in range(config["layers_per_block"] + 1):
            out |= resblock(f"output_blocks.{n}.0", ch + skips.pop(), size, time)
            ch, part = size, 1
            if attends[level]:
                out |= transformer(f"output_blocks.{n}.1", ch, context, depths[level], linear)
                part = 2
            if level and i == config["layers_per_block"]:
                out |= module(f"output_blocks.{n}.{part}.conv", ch, ch, 3, 3)
            n += 1
    return {**out, **module("out.0", base), **module("out.2", 4, base, 3, 3)}


def vae_block(name, inputs, outputs):
    out = {**module(f"{name}.norm1", inputs), **module(f"{name}.conv1", outputs, inputs, 3, 3), **module(f"{name}.norm2", outputs),
           **module(f"{name}.conv2", outputs, outputs, 3, 3)}
    return out if inputs == outputs else {**out, **module(f"{name}.nin_shortcut", outputs, inputs, 1, 1)}


def ldm_vae(config):
    channels, layers = config["block_out_channels"], config["layers_per_block"]
    last = channels[-1]

    def middle(side):
        out = {**vae_block(f"{side}.mid.block_1", last, last), **vae_block(f"{side}.mid.block_2", last, last),
               **module(f"{side}.mid.attn_1.norm", last)}
        for part in ("q", "k", "v", "proj_out"):
            out |= module(f"{side}.mid.attn_1.{part}", last, last, 1, 1)
        return out

    out = {**module("quant_conv", 8, 8, 1, 1), **module("post_quant_conv", 4, 4, 1, 1), **middle("encoder"), **middle("decoder"),
           **module("encoder.conv_in", channels[0], 3, 3, 3), **module("decoder.conv_in", last, 4, 3, 3),
           **module("encoder.norm_out", last), **module("encoder.conv_out", 8, last, 3, 3),
           **module("decoder.norm_out", channels[0]), **module("decoder.conv_out", 3, channels[0], 3, 3)}
    ch = channels[0]
    for level, size in enumerate(channels):
        for i in range(layers):
            out |= vae_block(f"encoder.down.{level}.block.{i}", ch, size)
            ch = size
        if level != len(channels) - 1:
            out |= module(f"encoder.down.{level}.downsample.conv", ch, ch, 3, 3)
    ch = last
    for level, size in reversed(list(enumerate(channels))):
        for i in range(layers + 1):
            out |= vae_block(f"decoder.up.{level}.block.{i}", ch, size)
            ch = size
        if level:
            out |= module(f"decoder.up.{level}.upsample.conv", ch, ch, 3, 3)
    return out


def open_clip(config, layers, projection):
    d, h = config["hidden_size"], config["intermediate_size"]
    out = {"positional_embedding": [config["max_position_embeddings"], d], "text_projection": [d, projection], "logit_scale": [],
           "token_embedding.weight": [config["vocab_size"], d], **module("ln_final", d)}
    for i in range(layers):
        b = f"transformer.resblocks.{i}"
        out |= {**module(f"{b}.ln_1", d), **module(f"{b}.ln_2", d), f"{b}.attn.in_proj_weight": [3 * d, d], f"{b}.attn.in_proj_bias": [3 * d],
                **module(f"{b}.attn.out_proj", d, d), **module(f"{b}.mlp.c_fc", h, d), **module(f"{b}.mlp.c_proj", d, h)}
    return out


def hf_clip(config):
    d, h = config["hidden_size"], config["intermediate_size"]
    out = {"embeddings.position_ids": [1, config["max_position_embeddings"]], "embeddings.token_embedding.weight": [config["vocab_size"], d],
           "embeddings.position_embedding.weight": [config["max_position_embeddings"], d], **module("final_layer_norm", d)}
    for i in range(config["num_hidden_layers"]):
        b = f"encoder.layers.{i}"
        out |= {**module(f"{b}.layer_norm1", d), **module(f"{b}.layer_norm2", d), **module(f"{b}.mlp.fc1", h, d), **module(f"{b}.mlp.fc2", d, h)}
        for part in ("q", "k", "v", "out"):
            out |= module(f"{b}.self_attn.{part}_proj", d, d)
    return out


def prefixed(prefix, names):
    return {prefix + name: shape for name, shape in names.items()}


SCHEDULE = ["alphas_cumprod", "alphas_cumprod_prev", "betas", "log_one_minus_alphas_cumprod", "posterior_log_variance_clipped",
            "posterior_mean_coef1", "posterior_mean_coef2", "posterior_variance", "sqrt_alphas_cumprod",
            "sqrt_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod"]


def ldm_checkpoint(kind, configs):
    text = configs["text_encoder"]
    out = {**prefixed("model.diffusion_model.", ldm_unet(configs["unet"])), **prefixed("first_stage_model.", ldm_vae(configs["vae"]))}
    if kind == "sdxl":
        second = configs["text_encoder_2"]
        out |= {**prefixed("conditioner.embedders.0.transformer.text_model.", hf_clip(text)),
                **prefixed("conditioner.embedders.1.model.", open_clip(second, second["num_hidden_layers"], second["projection_dim"]))}
    else:
        out |= {name: [1000] for name in SCHEDULE}
        out |= {"model_ema.decay": [], "model_ema.num_updates": []}
        if kind == "sd15":
            out |= prefixed("cond_stage_model.transformer.text_model.", hf_clip(text))
        else:  # the last layer is in the file and not in the model
            out |= prefixed("cond_stage_model.model.", open_clip(text, text["num_hidden_layers"] + 1, text["hidden_size"]))
    return out


# ---- what diffusers makes of it

def models(configs):
    with torch.device("meta"):
        built = {"unet": UNet2DConditionModel(**configs["unet"]), "vae": AutoencoderKL(**configs["vae"])}
        for name in ("text_encoder", "text_encoder_2"):
            if name in configs:
                kind = CLIPTextModelWithProjection if "projection_dim" in configs[name] else CLIPTextModel
                built[name] = kind(CLIPTextConfig(**configs[name]))
    return built


def file_key(name):
    return name if name.startswith(("text_model.", "text_projection.")) else "text_model." + name


def convert(kind, tensors, configs, built):
    out = {"unet": rules.convert_ldm_unet_checkpoint(tensors, {**built["unet"].config, "layers_per_block": 2}),
           "vae": rules.convert_ldm_vae_checkpoint(tensors, configs["vae"])}
    if kind == "sd21":  # diffusers drops layer 23 by name; here it is the layer after the configuration's last
        dropped = f"cond_stage_model.model.transformer.resblocks.{configs['text_encoder']['num_hidden_layers']}."
        kept = {k: v for k, v in tensors.items() if not k.startswith(dropped)}
        out["text_encoder"] = rules.convert_open_clip_checkpoint(built["text_encoder"], kept)
        out["text_encoder"].pop("text_projection.weight", None)
    else:
        out["text_encoder"] = rules.convert_ldm_clip_checkpoint(tensors)
    if kind == "sdxl":
        out["text_encoder_2"] = rules.convert_open_clip_checkpoint(built["text_encoder_2"], tensors, prefix="conditioner.embedders.1.model.")
    for name in ("text_encoder", "text_encoder_2"):
        if name in out:
            out[name] = {file_key(k): v for k, v in out[name].items() if "position_ids" not in k and "logit_scale" not in k}
    return out


def check(kind, tensors, configs):
    """The conversion must give the models' own keys and shapes; returns both."""
    built = models(configs)
    converted = convert(kind, tensors, configs, built)
    wanted = {}
    for name, model in built.items():
        keys = {k: list(v.shape) for k, v in model.state_dict().items() if "position_ids" not in k}
        wanted[name] = {file_key(k): s for k, s in keys.items()} if name.startswith("text") else keys
        found = {k: list(v.shape) for k, v in converted[name].items()}
        assert found == wanted[name], (kind, name, set(found) ^ set(wanted[name]), [k for k in found if found[k] != wanted[name].get(k)][:5])
    return converted, wanted


def config_files(configs, kind):
    out = {"unet": {"_class_name": "UNet2DConditionModel", **configs["unet"]}, "vae": {"_class_name": "AutoencoderKL", **configs["vae"]}}
    for name in ("text_encoder", "text_encoder_2"):
        if name in configs:
            projected = "projection_dim" in configs[name]
            out[name] = {"architectures": ["CLIPTextModelWithProjection" if projected else "CLIPTextModel"], "model_type": "clip_text_model", **configs[name]}
    velocity = kind == "sd21"
    out["scheduler"] = {"_class_name": "EulerDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
                        "num_train_timesteps": 1000, "prediction_type": "v_prediction" if velocity else "epsilon", "rescale_betas_zero_snr": False}
    return out


def write_gz(path, value):
    text = json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
    path.write_bytes(gzip.compress(text, mtime=0))


def main():
    keys, checkpoints = fresh("keys"), fresh("checkpoints")
    for index, (kind, configs) in enumerate(FULL.items()):
        names = ldm_checkpoint(kind, configs)
        meta = {name: torch.empty(shape, device="meta") for name, shape in names.items()}
        _, wanted = check(kind, meta, configs)
        write_gz(keys / f"{kind}.json.gz", {"configs": config_files(configs, kind), "diffusers": wanted, "ldm": names})
        print(kind, len(names), "tensors", {k: len(v) for k, v in wanted.items()})

        g = generator(700 + index)
        dtype = {"sd15": torch.float32, "sd21": torch.bfloat16, "sdxl": torch.float16}[kind]
        tensors = {name: torch.randn(shape, generator=g).to(dtype) for name, shape in ldm_checkpoint(kind, TINY[kind]).items()}
        for name in tensors:
            if name.endswith("position_ids"):
                tensors[name] = torch.arange(tensors[name].numel()).reshape(tensors[name].shape)
        converted, _ = check(kind, tensors, TINY[kind])
        texts = {f"{name}/{'scheduler_config' if name == 'scheduler' else 'config'}.json": json.dumps(config, sort_keys=True)
                 for name, config in config_files(TINY[kind], kind).items()}
        path = checkpoints / f"{kind}.safetensors"
        save_file({k: v.contiguous().clone() for k, v in tensors.items()}, str(path), metadata={"adora.files": json.dumps(texts, sort_keys=True)})
        sort_header(path)
        write_gz(checkpoints / f"{kind}.json.gz", {f"{part}.{k}": [list(v.shape), digest(v)] for part, values in converted.items() for k, v in values.items()})


def digest(tensor):
    return hashlib.sha256(tensor.detach().float().contiguous().numpy().tobytes()).hexdigest()[:16]


main()
