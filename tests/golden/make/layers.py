"""Single adapted layers. `lora*`, `dora`, `dora_rslora` come from PEFT (norm detached); the exact and input-axis cases
are written out below in plain torch, and the output-axis detached form is checked against PEFT here.

    V  = W0 + scaling * B A                       scaling = alpha / r, or alpha / sqrt(r) with rsLoRA
    output axis: W' = diag(m / rownorm(V)) V      norm over everything but the output axis
    input axis:  W' = V diag(m / colnorm(V))      conv: norm over (out, kh, kw), one m per input channel
    detached: the norm is a constant in the backward pass; exact: it is not
    y = layer(x; W', bias)                        loss = sum(y * weight_of_loss)
"""

import math

import torch
import torch.nn.functional as F
from peft import LoraConfig, inject_adapter_in_model

from common import fresh, generator, normal, write

LAYERS = {
    "linear": dict(kind="linear", cin=6, cout=10, bias=True),
    "linear_square": dict(kind="linear", cin=8, cout=8, bias=True),
    "linear_nobias": dict(kind="linear", cin=9, cout=5, bias=False),
    "conv_k3": dict(kind="conv", cin=4, cout=6, k=3, stride=1, padding=1, bias=True),
    "conv_k3_stride2": dict(kind="conv", cin=4, cout=6, k=3, stride=2, padding=1, bias=True),
    "conv_k1": dict(kind="conv", cin=6, cout=4, k=1, stride=1, padding=0, bias=True),
}
RANK, ALPHA = 3, 2.0


def build(spec):
    if spec["kind"] == "linear":
        return torch.nn.Linear(spec["cin"], spec["cout"], bias=spec["bias"])
    return torch.nn.Conv2d(spec["cin"], spec["cout"], spec["k"], spec["stride"], spec["padding"], bias=spec["bias"])


def apply(spec, x, weight, bias):
    if spec["kind"] == "linear":
        return F.linear(x, weight, bias)
    return F.conv2d(x, weight, bias, spec["stride"], spec["padding"])


def product(spec, a, b):
    if spec["kind"] == "linear":
        return b @ a
    return torch.einsum("or,rikl->oikl", b[:, :, 0, 0], a)


def axis_norm(spec, v, axis):
    dims = tuple(d for d in range(v.dim()) if d != (0 if axis == "output" else 1))
    return v.square().sum(dims, keepdim=True).sqrt()


def own(spec, x, w, bias, a, b, m, scaling, axis, exact):
    v = w + scaling * product(spec, a, b)
    norm = axis_norm(spec, v, axis)
    scale = m.reshape(norm.shape) / (norm if exact else norm.detach())
    return apply(spec, x, scale * v, bias)


def with_grads(fn, leaves, loss_weight):
    leaves = {k: v.detach().clone().requires_grad_(True) for k, v in leaves.items()}
    y = fn(**leaves)
    (y * loss_weight).sum().backward()
    return {"y": y, **{f"grad.{k}": v.grad for k, v in leaves.items()}}


def peft_case(spec, given, loss_weight, dora, rslora):
    model = torch.nn.Sequential()
    layer = build(spec)
    with torch.no_grad():
        layer.weight.copy_(given["weight"])
        if spec["bias"]:
            layer.bias.copy_(given["bias"])
    model.add_module("layer", layer)
    model.requires_grad_(False)
    inject_adapter_in_model(
        LoraConfig(r=RANK, lora_alpha=ALPHA, use_dora=dora, use_rslora=rslora, target_modules=["layer"]), model)
    adapted = model.layer
    leaves = {"lora_A": adapted.lora_A["default"].weight, "lora_B": adapted.lora_B["default"].weight}
    if dora:
        leaves["lora_magnitude_vector"] = adapted.lora_magnitude_vector["default"].weight
    with torch.no_grad():
        for key, p in leaves.items():
            p.copy_(given[key].reshape(p.shape))
    x = given["x"].clone().requires_grad_(True)
    y = model(x)
    (y * loss_weight).sum().backward()
    return {"y": y, "grad.x": x.grad, **{f"grad.{k}": p.grad for k, p in leaves.items()}}, adapted.scaling["default"]


def main():
    root = fresh("layers")
    for index, (name, spec) in enumerate(LAYERS.items()):
        seed = 300 + index
        g = generator(seed)
        layer = build(spec)
        w = normal(g, *layer.weight.shape, std=1 / math.sqrt(layer.weight[0].numel()))
        linear = spec["kind"] == "linear"
        k = 1 if linear else spec["k"]
        a_shape = (RANK, spec["cin"]) if linear else (RANK, spec["cin"], k, k)
        b_shape = (spec["cout"], RANK) if linear else (spec["cout"], RANK, 1, 1)
        x = normal(g, 2, 5, spec["cin"]) if linear else normal(g, 2, spec["cin"], 6, 7)
        a, b = normal(g, *a_shape, std=1 / math.sqrt(spec["cin"] * k * k)), normal(g, *b_shape, std=0.6)
        m_out = (axis_norm(spec, w, "output") * normal(g, *axis_norm(spec, w, "output").shape, std=0.3, mean=1.0))
        m_in = (axis_norm(spec, w, "input") * normal(g, *axis_norm(spec, w, "input").shape, std=0.3, mean=1.0))
        m_out_saved = m_out.reshape(-1) if linear else m_out.reshape(1, -1, 1, 1)
        bias = normal(g, spec["cout"], std=0.3) if spec["bias"] else None
        given = {"x": x, "weight": w, "lora_A": a, "lora_B": b, "lora_magnitude_vector": m_out_saved}
        if bias is not None:
            given["bias"] = bias
        loss_weight = normal(g, *apply(spec, x, w, bias).shape)

        tensors = {**given, "lora_magnitude_vector.input_axis": m_in, "loss_weight": loss_weight}

        def add(case, result):
            tensors.update({f"{case}.{key}": value for key, value in result.items()})

        scalings = {}
        for case, dora, rslora in (("lora", False, False), ("lora_rslora", False, True),
                                   ("dora", True, False), ("dora_rslora", True, True)):
            result, scalings[case] = peft_case(spec, given, loss_weight, dora, rslora)
            add(case, result)
        scaling = ALPHA / RANK
        leaves = {"x": x, "lora_A": a, "lora_B": b}
        for case, axis, m, exact in (("dora_exact", "output", m_out_saved, True),
                                     ("dora_input_axis", "input", m_in, False),
                                     ("dora_input_axis_exact", "input", m_in, True),
                                     ("check", "output", m_out_saved, False)):
            def forward(x, lora_A, lora_B, lora_magnitude_vector):
                return own(spec, x, w, bias, lora_A, lora_B, lora_magnitude_vector, scaling, axis, exact)

            result = with_grads(forward, {**leaves, "lora_magnitude_vector": m}, loss_weight)
            if case == "check":
                worst = max((result[key] - tensors[f"dora.{key}"]).abs().max().item() for key in result)
                assert worst < 2e-5, f"{name}: own detached form is {worst} away from PEFT"
            else:
                add(case, result)
                scalings[case] = scaling
        detached, exact = tensors["dora.grad.lora_B"], tensors["dora_exact.grad.lora_B"]
        gap = (exact - detached).norm() / detached.norm()
        print(f"{name}: own detached form within {worst:.1e} of PEFT; exact dB differs by {100 * gap.item():.0f} %")
        write(root / f"{name}.safetensors", tensors, seed, spec, rank=RANK, alpha=ALPHA, scalings=scalings)


main()
