"""The contrastive loss: equal to open_clip's, repeated captions, graded positives, gradients."""

import numpy as np
import pytest
import torch
from open_clip.loss import ClipLoss, SigLipLoss
from torch.nn import functional as F

from training.pretrain.contrastive import CaptionLoss

SCALE = torch.tensor(9.0, dtype=torch.float64)
BIAS = torch.tensor(-2.0, dtype=torch.float64)


def features(count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(2, count, 8, generator=generator, dtype=torch.float64)
    image, text = F.normalize(drawn, dim=2)
    return image, text


def random_places(count: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.uniform((-80, -180), (80, 180), (count, 2)))


def test_softmax_loss_of_distinct_captions_equals_clip_loss():
    image, text = features(12)
    ours = CaptionLoss()(image, text, SCALE, None, torch.arange(12), random_places(12))
    assert ours.item() == pytest.approx(ClipLoss()(image, text, SCALE).item(), rel=1e-12)


def test_sigmoid_loss_of_distinct_captions_equals_siglip_loss():
    image, text = features(12)
    ours = CaptionLoss("sigmoid")(image, text, SCALE, BIAS, torch.arange(12), random_places(12))
    theirs = SigLipLoss()(image, text, SCALE, BIAS)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)


def gradient(kind: str, caption: list[int]) -> torch.Tensor:
    """Gradient of four photo features, the first two with one text."""
    image, text = features(4)
    text = text[[0, 0, 2, 3]]
    image.requires_grad_()
    bias = BIAS if kind == "sigmoid" else None
    loss = CaptionLoss(kind)(image, text, SCALE, bias, torch.tensor(caption), random_places(4))
    return torch.autograd.grad(loss, image)[0]


def test_sigmoid_loss_treats_equal_captions_as_positives():
    text = features(4)[1][0]
    repeated, distinct = gradient("sigmoid", [7, 7, 8, 9]), gradient("sigmoid", [0, 1, 2, 3])
    assert (repeated[:2] @ text < distinct[:2] @ text - 0.5).all(), "descent approaches the text"
    assert torch.equal(repeated[2:], distinct[2:])


def test_equal_captions_do_not_change_the_softmax_gradient():
    repeated, distinct = gradient("infonce", [7, 7, 8, 9]), gradient("infonce", [0, 1, 2, 3])
    assert torch.allclose(repeated, distinct, atol=1e-12)


def test_graded_positives_decay_with_distance():
    image, text = features(3)
    latlon = torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 90.0]], dtype=torch.float64)
    weight = CaptionLoss(geo_tau_km=111.195)._positives(torch.arange(3), latlon)
    assert weight[0].tolist() == pytest.approx([1.0, np.exp(-1), 0.0], abs=1e-4)
    graded = CaptionLoss(geo_tau_km=111.195)(image, text, SCALE, None, torch.arange(3), latlon)
    logits = SCALE * image @ text.T
    target = (weight / weight.sum(1, keepdim=True)).double()
    by_hand = -(
        (target * logits.log_softmax(1)).sum(1).mean()
        + (target * logits.T.log_softmax(1)).sum(1).mean()
    )
    assert graded.item() == pytest.approx(by_hand.item() / 2, rel=1e-6)


@pytest.mark.parametrize("kind", ["infonce", "sigmoid"])
@pytest.mark.parametrize("tau", [None, 500.0])
def test_gradients_match_finite_differences(kind, tau):
    image, text = features(5)
    loss = CaptionLoss(kind, tau)
    caption = torch.tensor([1, 1, 2, 3, 4])
    places = random_places(5)
    bias = BIAS.clone().requires_grad_() if kind == "sigmoid" else None
    inputs = (image.requires_grad_(), text.requires_grad_(), SCALE.clone().requires_grad_())
    if bias is None:
        assert torch.autograd.gradcheck(
            lambda i, t, s: loss(i, t, s, None, caption, places), inputs
        )
    else:
        assert torch.autograd.gradcheck(
            lambda i, t, s, b: loss(i, t, s, b, caption, places), (*inputs, bias)
        )
