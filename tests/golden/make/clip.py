"""Tiny CLIP text encoders: every hidden state, the penultimate one, pooled and projected output, weight gradients.

Folders use the key layout that Stable Diffusion checkpoints have (`text_model.` in front of every transformer key;
`text_projection.weight` beside them), which newer transformers releases strip for CLIPTextModel in memory.

`hidden_states.<i>`: i = 0 is the embedding output, i = layers is the last layer's output BEFORE final_layer_norm.
`penultimate` = hidden_states[layers - 1], without final_layer_norm. `last_hidden_state` is after final_layer_norm.
Gradient loss (full.io): mean(last_hidden_state * weight_last) + mean(penultimate * weight_penultimate)
                         + mean(pooled * weight_pooled), pooled replaced by text_embeds where there is a projection.
"""

import json

import torch
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from common import fresh, generator, normal, perturb, sort_header, write

BASE = dict(vocab_size=64, hidden_size=12, intermediate_size=20, num_hidden_layers=3, num_attention_heads=3,
            max_position_embeddings=9, layer_norm_eps=1e-5, bos_token_id=62)

# Ids as a CLIP tokenizer gives them: bos, words, eos, then padding (SD1 pads with eos, SDXL's second encoder with 0).
PAD_EOS = [[62, 5, 17, 40, 63, 63, 63, 63, 63], [62, 33, 9, 2, 51, 12, 7, 28, 63]]
PAD_ZERO = [[62, 5, 17, 40, 63, 0, 0, 0, 0], [62, 63, 0, 0, 0, 0, 0, 0, 0]]
# eos in the config is not the highest id here: argmax pooling and first-eos pooling take different tokens.
EOS_50 = [[62, 5, 17, 40, 50, 50, 50, 50, 50], [62, 33, 9, 63, 51, 12, 50, 0, 0]]

CASES = {
    "sd1_quick_gelu": (CLIPTextModel, dict(BASE, hidden_act="quick_gelu", eos_token_id=2, pad_token_id=1), PAD_EOS),
    "sd2_gelu": (CLIPTextModel, dict(BASE, hidden_act="gelu", eos_token_id=2, pad_token_id=1, num_hidden_layers=2,
                                     num_attention_heads=2), PAD_ZERO),
    "sdxl_projection": (CLIPTextModelWithProjection,
                        dict(BASE, hidden_act="gelu", eos_token_id=2, pad_token_id=1, projection_dim=10), PAD_ZERO),
    "modern_eos": (CLIPTextModel, dict(BASE, hidden_act="quick_gelu", eos_token_id=50, pad_token_id=1), EOS_50),
}


def file_key(name):
    return name if name.startswith(("text_model.", "text_projection.")) else "text_model." + name


def save_folder(model, folder):
    folder.mkdir(parents=True)
    config = {**model.config.to_diff_dict(), **{k: getattr(model.config, k) for k in
              ("eos_token_id", "bos_token_id", "pad_token_id", "hidden_act", "layer_norm_eps", "hidden_size",
               "intermediate_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings",
               "vocab_size", "projection_dim")},
              "architectures": [type(model).__name__], "model_type": "clip_text_model"}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    weights = {file_key(k): v.contiguous().clone() for k, v in model.state_dict().items() if "position_ids" not in k}
    save_file(weights, str(folder / "model.safetensors"), metadata={"format": "pt"})
    sort_header(folder / "model.safetensors")
    return config


def main():
    root = fresh("clip")
    for index, (case, (kind, settings, ids)) in enumerate(CASES.items()):
        seed = 400 + 10 * index
        torch.manual_seed(seed)
        model = perturb(kind(CLIPTextConfig(**settings, attn_implementation="eager")), seed + 1).eval()
        config = save_folder(model, root / case / "text_encoder")
        reread = kind.from_pretrained(root / case / "text_encoder")
        reread = reread.state_dict()
        assert all(torch.equal(v, reread[k]) for k, v in model.state_dict().items()), "layout does not load"

        input_ids = torch.tensor(ids)
        out = model(input_ids=input_ids, output_hidden_states=True)
        layers = settings["num_hidden_layers"]
        states = out.hidden_states
        assert len(states) == layers + 1
        inner = getattr(model, "text_model", model)
        normed = inner.final_layer_norm(states[-1])
        assert torch.allclose(normed, out.last_hidden_state, atol=1e-6), "final norm already in it"
        tensors = {"input_ids": input_ids, "last_hidden_state": out.last_hidden_state, "penultimate": states[-2]}
        tensors.update({f"hidden_states.{i}": h for i, h in enumerate(states)})
        if kind is CLIPTextModelWithProjection:
            pooled = inner(input_ids=input_ids).pooler_output
            tensors.update(pooled=pooled, text_embeds=out.text_embeds)
            assert torch.allclose(model.text_projection(pooled), out.text_embeds, atol=1e-6)
            head = out.text_embeds
        else:
            head = tensors["pooled"] = out.pooler_output
        g = generator(seed + 2)
        weights = {"weight_last": normal(g, *out.last_hidden_state.shape),
                   "weight_penultimate": normal(g, *states[-2].shape), "weight_pooled": normal(g, *head.shape)}
        loss = ((out.last_hidden_state * weights["weight_last"]).mean()
                + (states[-2] * weights["weight_penultimate"]).mean() + (head * weights["weight_pooled"]).mean())
        loss.backward()
        write(root / case / "io.safetensors", tensors, seed, config)
        grads = {f"grad.{file_key(n)}": p.grad for n, p in model.named_parameters()}
        write(root / case / "full.io.safetensors", {**weights, "loss": loss, **grads}, seed, config)
        print(case, "pooled rows", tensors["pooled"][:, 0].tolist(), "loss", round(loss.item(), 4))


main()
