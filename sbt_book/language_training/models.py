"""A plain decoder-only transformer: pre-norm, GELU, learned positions, no tied weights."""

import torch
import torch.nn.functional as functional
from torch import Tensor, nn


class Block(nn.Module):
    """Attention and an MLP, each of which adds to the states what it makes of their layer norm.

    Dropout acts on what is added. `scale` multiplies what the layer norms give: with 1 / sqrt(l) in
    block l, the states grow less along the depth [1]_.

    References
    ----------
    .. [1] W. Sun et al., "The curse of depth in large language models", 2025, arXiv:2502.05795.
    """

    def __init__(self, width: int, heads: int, dropout: float, scale: float) -> None:
        super().__init__()
        self.heads, self.scale = heads, scale
        self.attention_norm = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.attention_dropout = nn.Dropout(dropout)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.mlp_dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """Return the states (texts, characters, width) after the block."""
        read = self.scale * self.attention_norm(states)
        split = self.queries_keys_values(read).unflatten(-1, (3, self.heads, -1))
        # (texts, characters, 3, heads, width of a head) -> three of (texts, heads, characters, ...)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        states = states + self.attention_dropout(self.mixed(seen.transpose(1, 2).flatten(-2)))
        return states + self.mlp_dropout(self.mlp(self.scale * self.mlp_norm(states)))


class SmallLanguageModel(nn.Module):
    """A language model of characters.

    Parameters
    ----------
    vocabulary : int
        How many characters it knows.
    depth, width, heads : int
        Blocks, features of each character, and heads of each attention, which divide the width.
    context : int
        The longest text.
    dropout : float
        p of what each half of a block adds.
    scaled : bool
        Whether layer norms of block l are multiplied by 1 / sqrt(l).

    Examples
    --------
    >>> model = SmallLanguageModel(vocabulary=7, depth=2, width=8, heads=2, context=5)
    >>> model(torch.tensor([[0, 3, 6]])).shape
    torch.Size([1, 3, 7])
    """

    def __init__(
        self,
        vocabulary: int,
        depth: int = 8,
        width: int = 64,
        heads: int = 4,
        context: int = 64,
        dropout: float = 0.0,
        scaled: bool = False,
    ) -> None:
        super().__init__()
        self.characters = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(
            Block(width, heads, dropout, number**-0.5 if scaled else 1.0)
            for number in range(1, depth + 1)
        )
        self.norm = nn.LayerNorm(width)
        self.readout = nn.Linear(width, vocabulary)
        for layer in self.modules():  # as GPT-2 starts
            if isinstance(layer, nn.Linear | nn.Embedding):
                nn.init.normal_(layer.weight, std=0.02)
            if isinstance(layer, nn.Linear):
                nn.init.zeros_(layer.bias)

    def states(self, ids: Tensor) -> list[Tensor]:
        """Return the states of l = 0, the embedding, to the last block: (texts, characters, width).

        `ids` are integers (texts, characters).
        """
        places = torch.arange(ids.shape[1], device=ids.device)
        states = [self.characters(ids) + self.places(places)]
        for block in self.blocks:
            states.append(block(states[-1]))
        return states

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits (texts, characters, vocabulary) of each next character."""
        return self.readout(self.norm(self.states(ids)[-1]))
