from __future__ import annotations

import torch

from imagint_serving.shapes.training import Recipe, new_network, train

SHORT = Recipe(seed=3, steps=2, batch=4)


def weights(recipe: Recipe) -> list[torch.Tensor]:
    network = new_network(recipe.seed)
    losses = list(train(network, recipe))
    assert len(losses) == recipe.steps
    return [weight.detach() for weight in network.parameters()]


def test_the_same_recipe_makes_the_same_weights() -> None:
    assert all(torch.equal(one, two) for one, two in zip(weights(SHORT), weights(SHORT), strict=True))


def test_the_network_stays_about_a_million_weights() -> None:
    assert 0.9e6 < sum(weight.numel() for weight in new_network(0).parameters()) < 1.2e6
