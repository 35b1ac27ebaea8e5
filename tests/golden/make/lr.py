"""Learning-rate factors (lr / base lr) at steps 0..T of transformers' schedules, and of REX from its formula.

Keys: <schedule>.w<warmup>.t<total>: f32 [total + 1], element i = factor in force for step i (i = 0 is the first).
REX (arXiv 2107.04197), f64: z = (step - warmup) / (total - warmup), factor = (1 - z) / (1/2 + (1 - z) / 2),
linear warm-up step / warmup before it, as in the other schedules.
"""

import torch
from transformers import optimization as o

from common import fresh, write


def factors(make, total):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make(optimizer)
    values = []
    for _ in range(total + 1):
        values.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return torch.tensor(values, dtype=torch.float64)


def rex(warmup, total):
    values = []
    for step in range(total + 1):
        if step < warmup:
            values.append(step / warmup)
        else:
            left = 1 - (step - warmup) / (total - warmup)
            values.append(left / (0.5 + 0.5 * left))
    return torch.tensor(values, dtype=torch.float64)


def main():
    root = fresh("lr")
    tensors = {}
    for warmup, total in ((0, 20), (5, 20), (3, 31)):
        key = f"w{warmup}.t{total}"
        made = {
            "constant": lambda opt: o.get_constant_schedule(opt),
            "constant_with_warmup": lambda opt: o.get_constant_schedule_with_warmup(opt, warmup),
            "linear": lambda opt: o.get_linear_schedule_with_warmup(opt, warmup, total),
            "cosine": lambda opt: o.get_cosine_schedule_with_warmup(opt, warmup, total),
            "cosine_restarts_3": lambda opt: o.get_cosine_with_hard_restarts_schedule_with_warmup(
                opt, warmup, total, 3),
        }
        for name, make in made.items():
            tensors[f"{name}.{key}"] = factors(make, total)
        tensors[f"rex.{key}"] = rex(warmup, total)
    write(root / "lr.safetensors", tensors, 0, {"cosine_cycles": 0.5, "restarts": 3})
    for name in ("linear", "cosine", "cosine_restarts_3", "rex"):
        print(name, [round(v, 3) for v in tensors[f"{name}.w5.t20"].tolist()])


main()
