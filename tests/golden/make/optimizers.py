"""Ten steps of each optimizer on three parameters with given gradients; parameters after every step.

inputs.safetensors: init.<p>, grad.<step>.<p>  (p = 0: [5, 7], 1: [3], 2: [2, 3, 3, 3]; step = 0..9).
The gradients do not depend on the parameters: they share a direction and have noise, so that Prodigy's d grows.
<variant>.safetensors: param.<step>.<p> after that step, lr.<step> in force during it, and for Prodigy d.<step>
(the estimate after the step's update of d, which is what the optimizer reports).

Everything runs in f32 except Lion, which is the formula of arXiv 2302.06675 in numpy f64:
    update = sign(b1 * m + (1 - b1) * g);  p = p - lr * (update + weight_decay * p);  m = b2 * m + (1 - b2) * g
"""

import json

import numpy as np
import torch
from prodigyopt import Prodigy
from transformers.optimization import Adafactor

from common import fresh, generator, normal, write

SHAPES = [(5, 7), (3,), (2, 3, 3, 3)]
STEPS = 10
WARM = [0.1, 0.2, 0.4, 0.7, 1.0, 1.0, 1.0, 0.9, 0.6, 0.3]  # factors on lr, for the variants that vary it

VARIANTS = {
    "adamw": (torch.optim.AdamW, dict(lr=0.02, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01), None),
    "adamw_schedule": (torch.optim.AdamW, dict(lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1), WARM),
    "lion": ("lion", dict(lr=0.01, betas=(0.9, 0.99), weight_decay=0.1), None),
    "lion_schedule": ("lion", dict(lr=0.01, betas=(0.95, 0.98), weight_decay=0.0), WARM),
    "prodigy": (Prodigy, dict(lr=1.0), None),
    "prodigy_decoupled_decay": (Prodigy, dict(lr=1.0, weight_decay=0.01, decouple=True, d0=1e-3), None),
    "prodigy_coupled_decay": (Prodigy, dict(lr=1.0, weight_decay=0.01, decouple=False, d0=1e-3), None),
    "prodigy_bias_correction": (Prodigy, dict(lr=1.0, use_bias_correction=True, d0=1e-3), None),
    "prodigy_safeguard": (Prodigy, dict(lr=1.0, weight_decay=0.01, use_bias_correction=True, safeguard_warmup=True,
                                        d0=1e-3, d_coef=20.0), WARM),
    "prodigy_coefficient": (Prodigy, dict(lr=1.0, d_coef=2.0, growth_rate=1.5, betas=(0.9, 0.99), d0=1e-3), WARM),
    "adafactor": (Adafactor, dict(lr=0.02, scale_parameter=True, relative_step=False, warmup_init=False), None),
    "adafactor_unscaled": (Adafactor, dict(lr=0.02, scale_parameter=False, relative_step=False, warmup_init=False,
                                           weight_decay=0.01), WARM),
    "adafactor_momentum": (Adafactor, dict(lr=0.02, beta1=0.9, scale_parameter=True, relative_step=False,
                                           warmup_init=False), None),
    "adafactor_relative": (Adafactor, dict(lr=None, scale_parameter=True, relative_step=True, warmup_init=False), None),
    "adafactor_relative_warmup": (Adafactor, dict(lr=None, scale_parameter=True, relative_step=True, warmup_init=True),
                                  None),
}


def lion(init, grads, settings, factors):
    b1, b2 = settings["betas"]
    p = [x.numpy().astype(np.float64) for x in init]
    m = [np.zeros_like(x) for x in p]
    out = {}
    for step in range(STEPS):
        lr = settings["lr"] * (factors[step] if factors else 1)
        out[f"lr.{step}"] = torch.tensor(lr)
        for i in range(len(p)):
            g = grads[step][i].numpy().astype(np.float64)
            blend = b1 * m[i] + (1 - b1) * g
            assert np.abs(blend).min() > 1e-6, "a sign that rounding could flip"
            p[i] = p[i] - lr * (np.sign(blend) + settings["weight_decay"] * p[i])
            m[i] = b2 * m[i] + (1 - b2) * g
            out[f"param.{step}.{i}"] = torch.from_numpy(p[i].copy())
    return out


def run(kind, init, grads, settings, factors, dtype):
    params = [torch.nn.Parameter(x.to(dtype).clone()) for x in init]
    optimizer = kind(params, **settings)
    out = {}
    for step in range(STEPS):
        if settings["lr"] is not None:
            lr = settings["lr"] * (factors[step] if factors else 1)
            out[f"lr.{step}"] = torch.tensor(lr)
            for group in optimizer.param_groups:
                group["lr"] = lr
        for p, g in zip(params, grads[step]):
            p.grad = g.to(dtype).clone()
        optimizer.step()
        out.update({f"param.{step}.{i}": p.detach().clone() for i, p in enumerate(params)})
        if kind is Prodigy:
            out[f"d.{step}"] = torch.tensor(float(optimizer.param_groups[0]["d"]), dtype=torch.float64)
    return out


def main():
    root = fresh("optimizers")
    seed = 600
    g = generator(seed)
    init = [normal(g, *s, std=0.5) for s in SHAPES]
    direction = [normal(g, *s) for s in SHAPES]
    grads = [[d * 0.6 + normal(g, *d.shape, std=0.5) for d in direction] for _ in range(STEPS)]
    inputs = {f"init.{i}": x for i, x in enumerate(init)}
    inputs.update({f"grad.{step}.{i}": x for step in range(STEPS) for i, x in enumerate(grads[step])})
    write(root / "inputs.safetensors", inputs, seed, {"shapes": SHAPES, "steps": STEPS})
    for name, (kind, settings, factors) in VARIANTS.items():
        if kind == "lion":
            out, gap = lion(init, grads, settings, factors), 0.0
        else:
            out = run(kind, init, grads, settings, factors, torch.float32)
            exact = run(kind, init, grads, settings, factors, torch.float64)
            gap = max((out[k].double() - exact[k]).abs().max().item() for k in out if k.startswith("param"))
        moved = max((out[f"param.{STEPS - 1}.{i}"] - init[i]).abs().max().item() for i in range(3))
        d = [f"{out[f'd.{s}'].item():.3g}" for s in (0, 4, 9)] if "d.0" in out else ""
        print(f"{name}: largest change {moved:.4g}, f32 is {gap:.1e} from f64", d)
        label = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__name__}"
        write(root / f"{name}.safetensors", out, seed, settings, optimizer=label, lr_factors=json.dumps(factors),
              f32_from_f64=gap)


main()
