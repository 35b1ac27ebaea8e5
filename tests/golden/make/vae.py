"""Tiny AutoencoderKL cases: moments, decode, and weight gradients of a reconstruction + KL loss.

loss = mean((decode(z) - target)^2) + 1e-3 * kl
  z  = mean + exp(0.5 * logvar) * noise            moments = [mean | logvar] on channels, logvar clamped to [-30, 20]
  kl = mean over the batch of 0.5 * sum(mean^2 + exp(logvar) - 1 - logvar)
The decode golden stands alone: `decoded` = decode(`latent`), `latent` being unrelated to the encoder.
"""

import torch
from diffusers import AutoencoderKL

from common import config_of, fresh, generator, normal, perturb, save_part, write

CASES = {
    # Three levels, the encoder's and decoder's middle attention, channel change with shortcut at level 1.
    "sd": dict(
        in_channels=3, out_channels=3, latent_channels=4, sample_size=32, norm_num_groups=4,
        block_out_channels=(4, 8, 8), layers_per_block=1, scaling_factor=0.18215,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
    ),
    # Two levels, two layers a level.
    "two_levels": dict(
        in_channels=3, out_channels=3, latent_channels=4, sample_size=16, norm_num_groups=2,
        block_out_channels=(4, 6), layers_per_block=2, scaling_factor=0.13025,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    ),
}


def main():
    root = fresh("vae")
    for index, (case, settings) in enumerate(CASES.items()):
        seed = 200 + 10 * index
        torch.manual_seed(seed)
        vae = perturb(AutoencoderKL(**settings), seed + 1).eval()
        save_part(vae, root / case / "vae")
        config = config_of(vae)
        g = generator(seed + 2)
        factor = 2 ** (len(settings["block_out_channels"]) - 1)
        height, width = 4 * factor, 6 * factor
        image = normal(g, 2, 3, height, width, std=0.5).clamp(-1, 1)
        target = normal(g, 2, 3, height, width, std=0.5).clamp(-1, 1)
        noise = normal(g, 2, 4, height // factor, width // factor)
        latent = normal(g, 2, 4, height // factor, width // factor)

        with torch.no_grad():
            decoded = vae.decode(latent).sample
        posterior = vae.encode(image).latent_dist
        z = posterior.mean + posterior.std * noise
        reconstruction = vae.decode(z).sample
        mse, kl = ((reconstruction - target) ** 2).mean(), posterior.kl().mean()
        loss = mse + 1e-3 * kl
        loss.backward()
        tensors = {
            "image": image, "target": target, "noise": noise, "moments": posterior.parameters,
            "z": z, "reconstruction": reconstruction, "mse": mse, "kl": kl, "loss": loss,
            "latent": latent, "decoded": decoded,
        }
        write(root / case / "io.safetensors", tensors, seed, config)
        grads = {f"grad.{n}": p.grad for n, p in vae.named_parameters()}
        assert all(v is not None for v in grads.values())
        write(root / case / "full.io.safetensors", {"loss": loss, **grads}, seed, config)
        print(f"{case}: moments std {posterior.parameters.std():.3f}, decoded std {decoded.std():.3f}, "
              f"mse {mse.item():.3f}, kl {kl.item():.3f}, smallest gradient "
              f"{min((v.abs().max().item(), k) for k, v in grads.items())}")


main()
