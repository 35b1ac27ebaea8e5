"""Noise schedules, sampler loops on a closed-form model, forward noising, loss weights.

Dummy model, a function of the (scaled) model input x, the timestep t and nothing else:
    model(x, t) = 0.1 * x * sin(t / 1000) + 0.05 * cond          cond = recorded tensor of x's shape
Its result is read as epsilon or as v, as the loop's prediction_type says.

Loop files hold: init (x before the first step, already times init_noise_sigma), cond, timesteps, x.<i> after step i,
model.<i> the model's output at step i, input.<i> the scaled model input; sigmas (n + 1) where the sampler has them;
noise.<i> for Euler ancestral (the standard normal that step i added; the last step's is multiplied by zero).
"""

import numpy as np
import torch
from diffusers import (DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, EulerAncestralDiscreteScheduler,
                       EulerDiscreteScheduler)

from common import fresh, generator, normal, write

SD = dict(num_train_timesteps=1000, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
STEPS = 7
SHAPE = (2, 4, 3, 5)


def loops():
    for prediction in ("epsilon", "v_prediction"):
        p = dict(SD, prediction_type=prediction)
        name = prediction[0]
        yield f"ddim_{name}_leading", DDIMScheduler, dict(p, clip_sample=False, set_alpha_to_one=False,
                                                          timestep_spacing="leading", steps_offset=1)
        yield f"euler_{name}_leading", EulerDiscreteScheduler, dict(p, timestep_spacing="leading", steps_offset=1)
        yield f"euler_{name}_trailing", EulerDiscreteScheduler, dict(p, timestep_spacing="trailing")
        yield f"euler_{name}_linspace", EulerDiscreteScheduler, dict(p, timestep_spacing="linspace")
        yield f"euler_ancestral_{name}_leading", EulerAncestralDiscreteScheduler, dict(
            p, timestep_spacing="leading", steps_offset=1)
        yield f"dpmpp_2m_karras_{name}_leading", DPMSolverMultistepScheduler, dict(
            p, algorithm_type="dpmsolver++", solver_order=2, use_karras_sigmas=True, timestep_spacing="leading",
            steps_offset=1)
        yield f"dpmpp_2m_{name}_leading", DPMSolverMultistepScheduler, dict(
            p, algorithm_type="dpmsolver++", solver_order=2, timestep_spacing="leading", steps_offset=1)
    yield "ddim_v_trailing_ztsnr", DDIMScheduler, dict(
        SD, prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False, timestep_spacing="trailing",
        rescale_betas_zero_snr=True)
    yield "euler_v_trailing_ztsnr", EulerDiscreteScheduler, dict(
        SD, prediction_type="v_prediction", timestep_spacing="trailing", rescale_betas_zero_snr=True)


def run_loop(root, name, kind, settings, seed):
    g = generator(seed)
    scheduler = kind(**settings)
    scheduler.set_timesteps(STEPS)
    start, cond = normal(g, *SHAPE), normal(g, *SHAPE)
    x = start * scheduler.init_noise_sigma
    tensors = {"init": x, "cond": cond, "timesteps": scheduler.timesteps,
               "init_noise_sigma": torch.as_tensor(float(scheduler.init_noise_sigma))}
    if hasattr(scheduler, "sigmas"):
        tensors["sigmas"] = scheduler.sigmas
    for i, t in enumerate(scheduler.timesteps):
        given = scheduler.scale_model_input(x, t)
        model = 0.1 * given * torch.sin(t.float() / 1000) + 0.05 * cond
        more = {}
        if kind is EulerAncestralDiscreteScheduler:
            step_seed = seed * 1000 + i
            tensors[f"noise.{i}"] = normal(generator(step_seed), *SHAPE)
            more["generator"] = generator(step_seed)
        x = scheduler.step(model, t, x, **more).prev_sample
        tensors.update({f"input.{i}": given, f"model.{i}": model, f"x.{i}": x})
    if kind is EulerAncestralDiscreteScheduler:
        check_ancestral(tensors, settings["prediction_type"])
    write(root / f"{name}.safetensors", tensors, seed, settings, scheduler=kind.__name__, steps=STEPS)
    print(f"{name}: timesteps {[round(float(t), 2) for t in scheduler.timesteps]}, |x| {x.abs().mean():.4f}")


def check_ancestral(tensors, prediction):
    """The recorded noise really is what the step added."""
    sigmas, x = tensors["sigmas"].double(), tensors["init"].double()
    for i in range(STEPS):
        s, n, model = sigmas[i], sigmas[i + 1], tensors[f"model.{i}"].double()
        x0 = x - s * model if prediction == "epsilon" else x / (s * s + 1) - model * s / (s * s + 1).sqrt()
        up = (n * n * (s * s - n * n) / (s * s)).sqrt()
        down = (n * n - up * up).sqrt()
        x = x + (x - x0) / s * (down - s) + tensors[f"noise.{i}"].double() * up
        assert (x - tensors[f"x.{i}"]).abs().max() < 1e-4
        x = tensors[f"x.{i}"].double()


def schedules(root):
    tensors = {}
    ranges = {"linear": (1e-4, 2e-2), "scaled_linear": (0.00085, 0.012), "squaredcos_cap_v2": (1e-4, 2e-2)}
    for beta, ends in ranges.items():
        settings = dict(num_train_timesteps=1000, beta_schedule=beta, beta_start=ends[0], beta_end=ends[1])
        for suffix, zero in (("", False), (".zero_terminal_snr", True)):
            s = DDIMScheduler(**settings, rescale_betas_zero_snr=zero)
            tensors[f"{beta}{suffix}.betas"] = s.betas
            tensors[f"{beta}{suffix}.alphas_cumprod"] = s.alphas_cumprod
    write(root / "alphas.safetensors", tensors, 0, {"linear": [1e-4, 2e-2], "scaled_linear": [0.00085, 0.012]})


def forward_noise(root, seed):
    g = generator(seed)
    timesteps = torch.tensor([0, 1, 250, 500, 981, 999])
    x0, noise = normal(g, 6, 4, 3, 2), normal(g, 6, 4, 3, 2)
    tensors = {"x0": x0, "noise": noise, "timesteps": timesteps}
    for suffix, zero in (("", False), (".zero_terminal_snr", True)):
        s = DDPMScheduler(**SD, rescale_betas_zero_snr=zero)
        tensors[f"noisy{suffix}"] = s.add_noise(x0, noise, timesteps)
        tensors[f"velocity{suffix}"] = s.get_velocity(x0, noise, timesteps)
    write(root / "add_noise.safetensors", tensors, seed, SD)


def loss_weights(root):
    """snr = acp / (1 - acp), in float64.

    min-SNR-gamma (arXiv 2303.09556): epsilon: min(snr, gamma) / snr      v: min(snr, gamma) / (snr + 1)
    debiased estimation (arXiv 2310.08442): epsilon: 1 / sqrt(snr)
    Plain schedule only: at zero terminal SNR epsilon is undefined; the v weight there is 0 and is given too.
    """
    tensors = {}
    for suffix, zero in (("", False), (".zero_terminal_snr", True)):
        acp = DDPMScheduler(**SD, rescale_betas_zero_snr=zero).alphas_cumprod.numpy().astype(np.float64)
        if zero:
            acp = np.maximum(acp, 0)
        snr = acp / (1 - acp)
        tensors[f"snr{suffix}"] = torch.from_numpy(snr)
        for gamma in (1, 5, 20):
            clipped = np.minimum(snr, gamma)
            tensors[f"min_snr_v.{gamma}{suffix}"] = torch.from_numpy(clipped / (snr + 1))
            if not zero:
                tensors[f"min_snr_epsilon.{gamma}"] = torch.from_numpy(clipped / snr)
        if not zero:
            tensors["debiased_epsilon"] = torch.from_numpy(1 / np.sqrt(snr))
    write(root / "loss_weights.safetensors", tensors, 0, SD)


def main():
    root = fresh("schedulers")
    for index, (name, kind, settings) in enumerate(loops()):
        run_loop(root, name, kind, settings, 500 + index)
    schedules(root)
    forward_noise(root, 590)
    loss_weights(root)


main()
