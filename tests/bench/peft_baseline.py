"""Peer benchmark: seconds per training step and peak memory of PyTorch + PEFT on the bench cases, CPU, f32.

    python peft_baseline.py lora dora [--case u142] [--steps 6] [--warmup 2] [--threads 2] [--checkpointing]
    python peft_baseline.py --save DIR [--case u142]

Each kind runs in a process of its own, so that its peak memory is its own; one JSON line per kind on stdout.
--save writes the case's random model (DIR/unet, f32 diffusers folder) and one batch with the bare model's answer
(DIR/io.safetensors: sample, timestep, encoder_hidden_states, target, prediction, loss): the same model, inputs and
seed that are timed here, for the engine under test. Needs torch, diffusers, peft, safetensors.

A step is: zero_grad, forward, mean squared error against a fixed target, backward, AdamW(1e-4).
Adapters: rank 16, alpha 16, dropout 0, attention projections and both feed-forward matrices.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2"]
DOWN = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
UP = ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3
SHARED = dict(in_channels=4, out_channels=4, layers_per_block=2, attention_head_dim=8,
              down_block_types=DOWN, up_block_types=UP)
CASES = {
    # 142 M parameters
    "u142": dict(config=dict(SHARED, sample_size=32, block_out_channels=(128, 256, 512, 512), cross_attention_dim=512),
                 batch=2, timesteps=[10, 500]),
    # 860 M parameters, Stable Diffusion 1.5's size
    "sd15": dict(config=dict(SHARED, sample_size=64, block_out_channels=(320, 640, 1280, 1280),
                             cross_attention_dim=768),
                 batch=1, timesteps=[500]),
}


def make_model(case):
    import torch
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    return UNet2DConditionModel(**case["config"]).requires_grad_(False)


def make_batch(case):
    import torch

    g = torch.Generator().manual_seed(1)
    size, width, batch = case["config"]["sample_size"], case["config"]["cross_attention_dim"], case["batch"]
    return {
        "sample": torch.randn(batch, 4, size, size, generator=g),
        "timestep": torch.tensor(case["timesteps"]),
        "encoder_hidden_states": torch.randn(batch, 77, width, generator=g),
        "target": torch.randn(batch, 4, size, size, generator=g),
    }


def forward(unet, batch):
    prediction = unet(batch["sample"], batch["timestep"], batch["encoder_hidden_states"]).sample
    return prediction, (prediction - batch["target"]).square().mean()


def save(case, folder):
    import torch
    from safetensors.torch import save_file

    unet, batch = make_model(case).eval(), make_batch(case)
    unet.save_pretrained(folder / "unet", max_shard_size="100GB")
    with torch.no_grad():
        prediction, loss = forward(unet, batch)
    save_file({**batch, "prediction": prediction, "loss": loss}, str(folder / "io.safetensors"))


def peak_rss_mb():
    """VmHWM where the kernel has it: ru_maxrss survives exec and would show the parent's peak."""
    try:
        for line in pathlib.Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage / 1024 / (1024 if sys.platform == "darwin" else 1)


def measure(kind, options):
    import torch
    import diffusers
    import peft

    torch.set_num_threads(options.threads)
    case = CASES[options.case]
    started = time.perf_counter()
    unet = make_model(case)
    unet.add_adapter(peft.LoraConfig(r=16, lora_alpha=16, use_dora=kind == "dora", target_modules=TARGETS))
    unet.train()
    if options.checkpointing:
        unet.enable_gradient_checkpointing()
    trainable = [p for p in unet.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=1e-4)
    batch = make_batch(case)
    setup = time.perf_counter() - started

    seconds, losses = [], []
    for _ in range(options.warmup + options.steps):
        begun = time.perf_counter()
        optimizer.zero_grad()
        _, loss = forward(unet, batch)
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - begun)
        losses.append(loss.item())
    timed = seconds[options.warmup:]
    return {
        "engine": "pytorch+peft", "case": options.case, "kind": kind, "checkpointing": options.checkpointing,
        "threads": options.threads, "steps": options.steps, "warmup": options.warmup,
        "median_s": round(statistics.median(timed), 4), "min_s": round(min(timed), 4),
        "peak_rss_mb": round(peak_rss_mb(), 1), "setup_s": round(setup, 2),
        "warmup_s": [round(s, 3) for s in seconds[:options.warmup]],
        "parameters": sum(p.numel() for p in unet.parameters()), "trainable": sum(p.numel() for p in trainable),
        "losses": [round(v, 6) for v in losses],
        "versions": {"torch": torch.__version__, "diffusers": diffusers.__version__, "peft": peft.__version__},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="lora|dora")
    parser.add_argument("--case", choices=CASES, default="u142")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing, as diffusers does it")
    parser.add_argument("--save", type=pathlib.Path, metavar="DIR", help="write model and batch only")
    options = parser.parse_args()
    unknown = [k for k in options.kinds if k not in ("lora", "dora")]
    if unknown or (not options.kinds and options.save is None):
        parser.error(f"unknown kind {unknown[0]}" if unknown else "name a kind (lora, dora) or --save DIR")
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    if options.save is not None:
        save(CASES[options.case], options.save)
    elif len(options.kinds) == 1:
        print(json.dumps(measure(options.kinds[0], options)), flush=True)
    else:
        flags = [a for a in sys.argv[1:] if a not in options.kinds]
        for kind in options.kinds:
            subprocess.run([sys.executable, __file__, kind, *flags], check=True)


main()
