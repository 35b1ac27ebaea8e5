"""Tiny whole pipelines of diffusers, saved as ordinary folders: text embeddings, one training step, a sample.

io.safetensors of each case:
  ids.<encoder>.<i>            token ids of PROMPTS[i], as the tokenizer gives them; ids.<encoder>.cut those of LONG,
                               cut to one chunk
  context.<i>, pooled.<i>      what `encode_prompt` gives for PROMPTS[i]
  context.long, pooled.long    LONG in chunks of (positions - 2) tokens, each between start and end token, encoded one by
                               one; the states side by side, the pooled vector of the first chunk
  pixels, moments              a batch of pictures [2,3,16,16] and the autoencoder's answer
  noise, timestep, noisy, target, time_ids   the training step; its latents are the means of the moments
  loss.<kind>, grad.<kind>.<key>             of a PEFT adapter (<kind>.safetensors); prompts are PROMPTS[0] and LONG,
                               the shorter context repeated to the length of the longer
  start, latents, image        noise of two pictures of SAMPLED, what five steps with guidance 5 make of it, decoded to
                               [-1,1]
"""

import json
import math

import torch
from diffusers import (AutoencoderKL, DDIMScheduler, EulerDiscreteScheduler, StableDiffusionPipeline,
                       StableDiffusionXLPipeline, UNet2DConditionModel)
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from common import fresh, generator, normal, perturb, save_part, sort_header, write

PROMPTS = ["A red House, at (sun:1.2);", "", "café  naïve 42"]
LONG = "a red house and the sea at night with a boat and a moon over the hill, painted by hand"
SAMPLED = (["a red house", "the sea at night"], "a hill")
POSITIONS = 20
STEPS = 5
GUIDANCE = 5.0
RANK = 4
TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2"]

TWO_LEVELS = dict(in_channels=4, out_channels=4, sample_size=8, block_out_channels=(8, 16), layers_per_block=1,
                  down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                  up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), norm_num_groups=4)
CASES = {
    "sd1": dict(
        unet=dict(TWO_LEVELS, cross_attention_dim=12, attention_head_dim=2),
        text=[dict(hidden_size=12, hidden_act="quick_gelu")], scheduler=(DDIMScheduler, "epsilon"), scaling=0.18215,
        half=False,
    ),
    "sd2": dict(
        unet=dict(TWO_LEVELS, cross_attention_dim=16, attention_head_dim=[2, 4], use_linear_projection=True),
        text=[dict(hidden_size=16, hidden_act="gelu")], scheduler=(DDIMScheduler, "v_prediction"), scaling=0.18215,
        half=True,
    ),
    "sdxl": dict(
        unet=dict(in_channels=4, out_channels=4, sample_size=8, block_out_channels=(8, 12), layers_per_block=1,
                  down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                  up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), norm_num_groups=4,
                  transformer_layers_per_block=[1, 2], attention_head_dim=[2, 3], use_linear_projection=True,
                  cross_attention_dim=20, addition_embed_type="text_time", addition_time_embed_dim=6,
                  projection_class_embeddings_input_dim=10 + 6 * 6),
        text=[dict(hidden_size=8, hidden_act="quick_gelu"), dict(hidden_size=12, hidden_act="gelu", projection_dim=10)],
        scheduler=(EulerDiscreteScheduler, "epsilon"), scaling=0.13025, half=False,
    ),
}


def byte_alphabet():
    """The printable stand-ins of bytes that CLIP's and GPT-2's tokenizers use."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(len(rest))]


def save_tokenizer(folder, pad):
    letters = byte_alphabet()
    merges = ["t h", "th e</w>", "a n", "an d</w>", "h o", "ho u", "hou s", "hous e</w>", "r e", "re d</w>", "e a</w>"]
    vocab = [*letters, *(c + "</w>" for c in letters), *(m.replace(" ", "") for m in merges),
             "<|startoftext|>", "<|endoftext|>"]
    assert len(set(vocab)) == len(vocab)
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocab)}, ensure_ascii=True) + "\n")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": POSITIONS, "bos_token": "<|startoftext|>",
              "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": pad, "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    return CLIPTokenizer.from_pretrained(str(folder)), len(vocab)


def save_text(settings, folder, size, seed, half):
    kind = CLIPTextModelWithProjection if "projection_dim" in settings else CLIPTextModel
    config = CLIPTextConfig(vocab_size=size, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                            max_position_embeddings=POSITIONS, bos_token_id=size - 2, eos_token_id=size - 1,
                            pad_token_id=size - 1, attn_implementation="eager", **settings)
    torch.manual_seed(seed)
    model = perturb(kind(config), seed).eval()
    folder.mkdir(parents=True)
    keys = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
            "max_position_embeddings", "hidden_act", "layer_norm_eps", "bos_token_id", "eos_token_id", "pad_token_id",
            "projection_dim")
    facts = {k: getattr(config, k) for k in keys}
    facts.update(architectures=[kind.__name__], model_type="clip_text_model")
    (folder / "config.json").write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n")
    save_weights({k if k.startswith(("text_model.", "text_projection.")) else f"text_model.{k}": v
                  for k, v in model.state_dict().items() if "position_ids" not in k}, folder / "model.safetensors", half)
    return reload_half(model) if half else model


def save_weights(state, path, half):
    save_file({k: (v.half() if half else v).contiguous().clone() for k, v in state.items()}, str(path),
              metadata={"format": "pt"})
    sort_header(path)


def reload_half(model):
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.half().float())
    return model


def save_network(model, folder, half):
    save_part(model, folder)
    if not half:
        return model
    path = folder / "diffusion_pytorch_model.safetensors"
    save_weights(load_file(str(path)), path, True)
    return reload_half(model)


def build(case, root, seed):
    half = case["half"]
    tokenizers, encoders = [], []
    for i, settings in enumerate(case["text"]):
        end = "" if i == 0 else f"_{i + 1}"
        tokenizer, size = save_tokenizer(root / f"tokenizer{end}", "!" if i == 1 else "<|endoftext|>")
        tokenizers.append(tokenizer)
        encoders.append(save_text(settings, root / f"text_encoder{end}", size, seed + 1 + i, half))
    torch.manual_seed(seed)
    unet = save_network(perturb(UNet2DConditionModel(**case["unet"]), seed + 4).eval(), root / "unet", half)
    vae = save_network(perturb(AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, sample_size=16, norm_num_groups=2, block_out_channels=(4, 6),
        layers_per_block=1, scaling_factor=case["scaling"], down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2), seed + 5).eval(), root / "vae", half)
    kind, prediction = case["scheduler"]
    common = dict(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                  prediction_type=prediction, timestep_spacing="leading", steps_offset=1)
    scheduler = kind(**common, **({"clip_sample": False, "set_alpha_to_one": False} if kind is DDIMScheduler else {}))
    scheduler.save_pretrained(str(root / "scheduler"))
    if len(encoders) == 1:
        pipe = StableDiffusionPipeline(vae=vae, text_encoder=encoders[0], tokenizer=tokenizers[0], unet=unet,
                                       scheduler=scheduler, safety_checker=None, feature_extractor=None,
                                       requires_safety_checker=False)
    else:
        pipe = StableDiffusionXLPipeline(vae=vae, text_encoder=encoders[0], text_encoder_2=encoders[1], unet=unet,
                                         tokenizer=tokenizers[0], tokenizer_2=tokenizers[1], scheduler=scheduler)
    index = {"_class_name": type(pipe).__name__}
    (root / "model_index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")
    pipe.set_progress_bar_config(disable=True)
    return pipe, tokenizers, encoders


def encode(pipe, prompt):
    """context [B,T,D] and pooled [B,P] or None, by the pipeline's own method, without a negative prompt."""
    if hasattr(pipe, "text_encoder_2"):
        context, _, pooled, _ = pipe.encode_prompt(prompt=prompt, prompt_2=None, device="cpu", num_images_per_prompt=1,
                                                   do_classifier_free_guidance=False)
        return context, pooled
    return pipe.encode_prompt(prompt, "cpu", 1, False)[0], None


def encode_long(tokenizers, encoders, text):
    contexts, pooled = [], None
    for tokenizer, encoder in zip(tokenizers, encoders):
        words = tokenizer(text, add_special_tokens=False).input_ids
        room = POSITIONS - 2
        pieces = [words[i:i + room] for i in range(0, len(words), room)]
        rows = [[tokenizer.bos_token_id, *p, tokenizer.eos_token_id] for p in pieces]
        rows = [r + [tokenizer.pad_token_id] * (POSITIONS - len(r)) for r in rows]
        outs = [encoder(torch.tensor([r]), output_hidden_states=True) for r in rows]
        states = [o.hidden_states[-2] if len(encoders) == 2 else o.last_hidden_state for o in outs]
        contexts.append(torch.cat(states, dim=1))
        if len(encoders) == 2:
            pooled = getattr(outs[0], "text_embeds", None)
    return torch.cat(contexts, dim=2), pooled


def file_key(name):
    name = name.replace(".lora_magnitude_vector.default.weight", ".lora_magnitude_vector")
    return "unet." + name.replace(".default", "")


def adapter_step(root, kind, seed, half, run):
    unet = UNet2DConditionModel.from_pretrained(root / "unet", low_cpu_mem_usage=False, torch_dtype=torch.float32)
    unet = unet.eval().requires_grad_(False)
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, use_dora=kind == "dora", target_modules=TARGETS))
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
    write(root / f"{kind}.safetensors", saved, seed, format="pt", rank=RANK, alpha=RANK)
    loss = run(unet)
    loss.backward()
    return {f"loss.{kind}": loss, **{f"grad.{kind}.{k}": p.grad for k, p in trainable.items()}}


def main():
    top = fresh("pipelines")
    for index, (name, case) in enumerate(CASES.items()):
        seed = 700 + 20 * index
        root = top / name
        pipe, tokenizers, encoders = build(case, root, seed)
        is_double = len(encoders) == 2
        made = {}
        with torch.no_grad():
            for i, prompt in enumerate(PROMPTS):
                for j, tokenizer in enumerate(tokenizers):
                    made[f"ids.{j}.{i}"] = torch.tensor(tokenizer(prompt, padding="max_length", truncation=True).input_ids)
                context, pooled = encode(pipe, prompt)
                made[f"context.{i}"] = context[0]
                if is_double:
                    made[f"pooled.{i}"] = pooled[0]
            for j, tokenizer in enumerate(tokenizers):
                made[f"ids.{j}.cut"] = torch.tensor(tokenizer(LONG, padding="max_length", truncation=True).input_ids)
            long_context, long_pooled = encode_long(tokenizers, encoders, LONG)
            made["context.long"] = long_context[0]
            if is_double:
                made["pooled.long"] = long_pooled[0]
            short = encode_long(tokenizers, encoders, PROMPTS[2])[0]
            assert torch.allclose(short, made["context.2"][None], atol=1e-6), "chunks are not what the pipeline does"

            g = generator(seed + 8)
            pixels = torch.rand(2, 3, 16, 16, generator=g) * 2 - 1
            moments = pipe.vae.encode(pixels).latent_dist.parameters
            latents = moments[:, :4] * pipe.vae.config.scaling_factor
            noise = normal(g, *latents.shape)
            timestep = torch.tensor([37, 811])
            ddpm = DDIMScheduler.from_config(dict(pipe.scheduler.config))
            noisy = ddpm.add_noise(latents, noise, timestep)
            target = ddpm.get_velocity(latents, noise, timestep) if case["scheduler"][1] == "v_prediction" else noise
            made.update(pixels=pixels, moments=moments, noise=noise, timestep=timestep, noisy=noisy, target=target)
            repeats = long_context.shape[1] // POSITIONS
            assert repeats > 1
            contexts = torch.cat([made["context.0"].repeat(repeats, 1)[None], long_context])
            added = None
            if is_double:
                time_ids = torch.tensor([[48.0, 24.0, 0.0, 8.0, 16.0, 16.0], [31.0, 64.0, 5.0, 0.0, 16.0, 16.0]])
                made["time_ids"] = time_ids
                added = {"text_embeds": torch.stack([made["pooled.0"], made["pooled.long"]]), "time_ids": time_ids}

        def run(unet):
            return ((unet(noisy, timestep, contexts, added_cond_kwargs=added).sample - target) ** 2).mean()

        for offset, kind in enumerate(("lora", "dora")):
            made.update(adapter_step(root, kind, seed + 10 + offset, case["half"], run))

        with torch.no_grad():
            start = normal(generator(seed + 9), 2, 4, 8, 8)
            prompts, negative = SAMPLED
            latents = pipe(prompt=prompts, negative_prompt=[negative] * 2, latents=start.clone(), height=16, width=16,
                           num_inference_steps=STEPS, guidance_scale=GUIDANCE, output_type="latent").images
            image = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
        made.update(start=start, latents=latents, image=image)
        write(root / "io.safetensors", made, seed, prompts=PROMPTS, long=LONG, sampled=SAMPLED)
        print(name, {k: round(v.item(), 4) for k, v in made.items() if k.startswith("loss")},
              "latents std", round(latents.std().item(), 3), "image std", round(image.std().item(), 3))


main()
