"""Attention: what is masked has no say, and an empty context answers nothing."""

from __future__ import annotations

import torch

from irl_vla.perception.attention import Attention


def attention() -> Attention:
    torch.manual_seed(0)
    return Attention(16, 4).eval()


def test_a_masked_place_cannot_change_the_result_even_with_nan() -> None:
    net, queries, context = attention(), torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    valid = torch.tensor([[True, False, True, True, False], [False, True, False, False, False]])
    expected = net(queries, context, valid)
    poisoned = torch.where(valid[..., None], context, float("nan"))
    assert torch.equal(net(queries, poisoned, valid), expected)
    assert expected.isfinite().all()


def test_masking_places_equals_leaving_them_out() -> None:
    net, queries, context = attention(), torch.randn(1, 3, 16), torch.randn(1, 5, 16)
    valid = torch.tensor([[True, False, True, True, False]])
    torch.testing.assert_close(
        net(queries, context, valid), net(queries, context[:, valid[0]]), atol=1e-6, rtol=1e-5
    )


def test_an_empty_context_answers_zero_and_has_finite_gradients() -> None:
    net, queries = attention(), torch.randn(1, 3, 16, requires_grad=True)
    out = net(queries, torch.full((1, 5, 16), float("nan")), torch.zeros(1, 5, dtype=torch.bool))
    assert torch.equal(out, torch.zeros_like(out))
    out.sum().backward()
    assert queries.grad is not None
    assert queries.grad.isfinite().all()


def test_the_order_of_the_context_does_not_matter() -> None:
    net, queries, context = attention(), torch.randn(1, 3, 16), torch.randn(1, 5, 16)
    order = torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(net(queries, context), net(queries, context[:, order]))


def test_it_is_the_attention_of_the_textbook() -> None:
    net, queries, context = attention(), torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    heads = [
        layer(tokens).reshape(2, -1, 4, 4).transpose(1, 2)
        for layer, tokens in (
            (net.to_query, queries),
            (net.to_key, context),
            (net.to_value, context),
        )
    ]
    read = torch.nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
    torch.testing.assert_close(net(queries, context), net.to_out(read))
