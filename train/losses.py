"""What a step minimises: every pair of a batch, or labelled pairs one by one as in the paper; and the distance to teachers."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["all_pairs_loss", "all_pairs_parts", "distillation_loss", "pairs_loss"]


def all_pairs_loss(parts: dict[str, Tensor], bce_weight: float = 0.5) -> Tensor:
    """The sum of `all_pairs_parts` that is minimised."""
    return 0.5 * (parts["within"] + parts["across"]) + bce_weight * parts["binary"]


def all_pairs_parts(logits: Tensor, classes: Tensor) -> dict[str, Tensor]:
    """Multi-way cross-entropy over the batch, within rows and across them, plus balanced binary cross-entropy.

    logits: float32 (B, B), of each image against each. classes: int64 (B,). Each positive pair competes with all negatives of
    its row (N-pair loss, Sohn 2016), `mean over positives of log(1 + sum_neg exp(l_neg - l_pos))`, which ranks; and with those
    of all rows, averaged to one row's number, which asks for one threshold that serves every query. The binary term keeps the
    sigmoid a probability; positives and negatives weigh the same in it. An image is never paired with itself.
    """
    same = classes[:, None] == classes[None, :]
    positive = same & ~torch.eye(len(classes), dtype=torch.bool, device=classes.device)
    negatives = torch.logsumexp(logits.masked_fill(same, -torch.inf), dim=1, keepdim=True)
    anywhere = torch.logsumexp(negatives, dim=0) - math.log(len(classes))
    within = _mean(F.softplus(negatives - logits), positive)
    across = _mean(F.softplus(anywhere - logits), positive)
    binary = 0.5 * (_mean(F.softplus(-logits), positive) + _mean(F.softplus(logits), ~same))
    return {"within": within, "across": across, "binary": binary}


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Of the chosen ones. Indexing by a mask would have a GPU wait for their number."""
    return values.masked_fill(~chosen, 0).sum() / chosen.sum()


def distillation_loss(logits: Tensor, teachers: Tensor, temperature: float = 2.0) -> Tensor:
    """How far the student's ranking of each image's neighbours is from the teachers' (Hinton, Vinyals, Dean 2015).

    logits, teachers: float32 (B, B), of each image against each. Each row without its own image becomes a distribution,
    `softmax(row / temperature)`; the result is the mean over rows of KL(teachers | student), times the squared temperature.
    """
    itself = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    lowest = torch.finfo(logits.dtype).min
    rows = [F.log_softmax(values.masked_fill(itself, lowest) / temperature, dim=1) for values in (logits, teachers)]
    return temperature**2 * F.kl_div(*rows, log_target=True, reduction="batchmean")


def pairs_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy of labelled pairs (Koch et al. 2015, section 3.2). logits, targets: float32 (P,)."""
    return F.binary_cross_entropy_with_logits(logits, targets)
