"""Singular value decompositions by LAPACK (numpy, f64) of f32 matrices of several shapes and spectra.

Keys: <case>.matrix [m,n]; <case>.s: all singular values; <case>.rank: values kept; <case>.approximation: the best matrix of
that rank. Cases: wide, tall, one_row, deficient (rank 5 of 24), clustered (pairs of equal values), falling (120 x 150, values
0.9^i: large enough for subspace iteration), weight (140 x 128: a low-rank change of columns plus rescaled columns).
"""

import numpy as np
import torch

from common import fresh, generator, normal, write

SEED = 11


def with_values(g, m, n, values):
    u, _ = np.linalg.qr(normal(g, m, len(values)).double().numpy())
    v, _ = np.linalg.qr(normal(g, n, len(values)).double().numpy())
    return torch.from_numpy((u * np.array(values)) @ v.T)


def cases(g):
    yield "wide", normal(g, 9, 31), 4
    yield "tall", normal(g, 40, 12), 5
    yield "one_row", normal(g, 1, 17), 1
    yield "deficient", normal(g, 24, 5) @ normal(g, 5, 33), 5
    yield "clustered", with_values(g, 20, 26, [5, 5, 3, 3, 1e-3, 1e-3, 1e-4]), 4
    yield "falling", with_values(g, 120, 150, [0.9**i for i in range(120)]), 12
    weight = normal(g, 140, 128) / 11
    change = normal(g, 140, 4) @ normal(g, 4, 128) / 60
    gain = 1 + 0.02 * normal(g, 1, 128)
    yield "weight", (weight + change) * gain - weight, 10


def main():
    root = fresh("svd")
    g = generator(SEED)
    tensors = {}
    for name, matrix, rank in cases(g):
        matrix = matrix.float()
        u, s, v = np.linalg.svd(matrix.double().numpy(), full_matrices=False)
        tensors[f"{name}.matrix"] = matrix
        tensors[f"{name}.s"] = torch.from_numpy(s)
        tensors[f"{name}.rank"] = torch.tensor(rank)
        tensors[f"{name}.approximation"] = torch.from_numpy((u[:, :rank] * s[:rank]) @ v[:rank])
    write(root / "svd.safetensors", tensors, SEED, numpy=np.__version__)


main()
