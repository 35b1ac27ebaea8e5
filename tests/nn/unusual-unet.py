"""Records unusual-unet.safetensors: a UNet that differs from all published ones in many settings, on an odd latent."""

import json
import pathlib

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

CONFIG = dict(
    in_channels=4, out_channels=4, block_out_channels=(4, 8, 6), layers_per_block=[1, 2, 1], norm_num_groups=2, norm_eps=1e-3,
    down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"),
    transformer_layers_per_block=[[1], [2, 1], [2]], reverse_transformer_layers_per_block=[[1, 2], [1, 1, 1], [2, 1]],
    attention_head_dim=[2, 4, 3], cross_attention_dim=5, use_linear_projection=True, conv_in_kernel=5, conv_out_kernel=1,
    flip_sin_to_cos=False, freq_shift=1, mid_block_scale_factor=1.5, time_embedding_dim=10,
)

torch.manual_seed(1)
torch.use_deterministic_algorithms(True)
unet = UNet2DConditionModel(**CONFIG).eval()
with torch.no_grad():
    for _, p in sorted(unet.named_parameters()):
        p.copy_(torch.randn(p.shape) * (0.3 if p.dim() == 1 else p[0].numel() ** -0.5) + (1 if p.dim() == 1 else 0))
tensors = {"sample": torch.randn(2, 4, 9, 7), "timestep": torch.tensor([3.0, 901.5]), "context": torch.randn(2, 3, 5)}
with torch.no_grad():
    tensors["prediction"] = unet(tensors["sample"], tensors["timestep"], tensors["context"]).sample
tensors |= {f"unet.{k}": v for k, v in unet.state_dict().items()}
out = pathlib.Path(__file__).with_suffix(".safetensors")
save_file({k: v.contiguous() for k, v in tensors.items()}, str(out), metadata={"config": json.dumps(dict(unet.config))})
out.chmod(0o644)
