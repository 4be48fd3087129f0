"""Counter-based random numbers against their definition in plain integers and against statistics.

All keys are fixed, so nothing here can fail by bad luck; the bounds are five or more standard
deviations wide, which a generator with a visible defect would still break.
"""

import math
from collections import Counter
from itertools import permutations as all_orders
from statistics import NormalDist

import numpy as np
import pytest
import torch
from numba import njit

from sbt_utils.ensembles.noise import (
    draw_keys,
    dropout_limits,
    keep_mask,
    permutations,
    random_bits,
    seed_words,
    standard_normal,
    uniform,
)
from sbt_utils.ensembles.row_loops import fill_keep_mask

SIGMAS = 5


def noise_words(count):
    return np.array([seed_words(seed)[1] for seed in range(count)])


def some_keys(count):
    """One key for each of `count` members, all of the first step and purpose."""
    return draw_keys(noise_words(count), [0], 1)[:, 0, 0]


def unsigned(bits):
    return bits.numpy().view(np.uint32)


def mask(keys, dropout, shape, dtype=torch.float32):
    count = int(np.prod(shape))
    out = torch.full((len(keys), count), torch.nan, dtype=dtype)
    words = torch.full((2, len(keys), -(-count // 2)), -7, dtype=torch.int32)
    return keep_mask(
        keys, dropout_limits(torch.as_tensor(dropout, dtype=dtype)), out, *words
    ).unflatten(1, shape)


# The definition in Python's integers ---------------------------------------------------------


def lowbias32(x):
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ (x >> shift)) * factor % 2**32
    return x ^ (x >> 16)


def splitmix64(z):
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> shift)) * factor % 2**64
    return z ^ (z >> 31)


def test_keys_are_splitmix_of_member_step_and_purpose():
    words = noise_words(3)
    keys = draw_keys(words, [0, 7, 2**31 + 1], 4)
    assert keys.dtype == torch.int32
    for m, word in enumerate(words.tolist()):
        for s, step in enumerate([0, 7, 2**31 + 1]):
            for purpose in range(4):
                counter = (step << 16) | purpose
                inner = splitmix64(((counter + 1) * 0x9E3779B97F4A7C15) % 2**64)
                expected = splitmix64(word ^ inner) >> 32
                assert unsigned(keys)[m, s, purpose] == expected


def test_bits_are_lowbias32_of_key_and_mixed_position():
    keys = some_keys(3)
    bits = unsigned(random_bits(keys, 300))
    for m, key in enumerate(unsigned(keys).tolist()):
        for position in (0, 1, 2, 63, 64, 255, 299):
            expected = lowbias32((lowbias32(position) + key) % 2**32)
            assert bits[m, position] == expected


def test_seed_words_are_those_of_seed_sequence():
    expected = np.random.SeedSequence(5).generate_state(2, np.uint64)
    np.testing.assert_array_equal(seed_words(5), expected)
    assert len({int(word) for seed in range(500) for word in seed_words(seed)}) == 1000


# A value depends on its key and its position alone --------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 63, 64, 65, 100, 1000])
def test_a_value_depends_on_key_and_position_alone(count):
    keys = draw_keys(noise_words(5), [3], 2)[:, 0]
    draws = {
        random_bits: keys[:, 0],
        uniform: keys[:, 0],
        standard_normal: keys,
    }
    for draw, given in draws.items():
        together = draw(given, 1234)
        assert together.shape == (5, 1234)
        fewer = draw(given, count)
        assert torch.equal(fewer, together[:, :count]), draw
        for m in range(5):
            assert torch.equal(draw(given[m : m + 1], count)[0], together[m, :count]), draw


def test_the_later_steps_and_purposes_do_not_change_the_earlier_keys():
    words = noise_words(4)
    keys = draw_keys(words, range(10), 6)
    assert torch.equal(draw_keys(words[2:3], [4], 3)[0, 0], keys[2, 4, :3])


def test_a_mask_depends_on_its_member_alone_and_not_on_the_scratch_memory():
    keys, dropout = some_keys(3), [0.0, 0.2, 0.7]
    together = mask(keys, dropout, (7, 9))
    for m in range(3):
        alone = mask(keys[m : m + 1], dropout[m : m + 1], (63,))
        assert torch.equal(alone[0], together[m].flatten())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("start", "count"), [(0, 1), (0, 1000), (2, 7), (400, 599)])
def test_compiled_masks_are_the_same(start, count, dtype):
    keys, dropout = some_keys(4), torch.tensor([0.0, 0.2, 0.5, 0.99], dtype=torch.float64)
    dropout = dropout.to(torch.from_numpy(np.empty(0, dtype)).dtype)
    expected = mask(keys, dropout, (1000,), dropout.dtype).numpy()
    limits, scales = (limit[:, 0].numpy() for limit in dropout_limits(dropout))
    for m in range(4):
        found, words = np.full(count, np.nan, dtype), np.zeros(count, np.uint32)
        units = slice(start, start + count)
        compiled_mask(
            keys.numpy()[m : m + 1].view(np.uint32)[0],
            limits[m],
            -scales[m],
            start,
            count,
            words,
            found,
        )
        np.testing.assert_array_equal(found, expected[m, units])


@njit
def compiled_mask(*arguments):
    fill_keep_mask(*arguments)


# Statistics ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key", range(3))
def test_every_byte_is_uniform(key):
    bits = unsigned(random_bits(some_keys(3)[key : key + 1], 2**20))[0]
    for shift in (0, 8, 16, 24):
        counts = np.bincount((bits >> np.uint32(shift)) & np.uint32(0xFF), minlength=256)
        chi_square = ((counts - 2**12) ** 2 / 2**12).sum()
        assert abs(chi_square - 255) < SIGMAS * math.sqrt(2 * 255)


def test_pairs_of_neighbours_are_uniform():
    bits = unsigned(random_bits(some_keys(1), 2**20))[0]
    for half in (bits & np.uint32(0xFFFF), bits >> np.uint32(16)):
        digits = (half >> np.uint32(12)).astype(np.int64)
        counts = np.bincount(digits[:-1] * 16 + digits[1:], minlength=256)
        expected = (len(digits) - 1) / 256
        chi_square = ((counts - expected) ** 2 / expected).sum()
        assert abs(chi_square - 255) < SIGMAS * math.sqrt(2 * 255)


@pytest.mark.parametrize("lag", [1, 2, 3, 64, 100, 128, 1000, 1024, 2**16])
def test_no_serial_correlation(lag):
    count = 2**20
    bits = random_bits(some_keys(1), count)
    centred = bits[0].double() - bits[0].double().mean()
    correlation = (centred[lag:] * centred[:-lag]).mean() / centred.square().mean()
    assert abs(correlation) < SIGMAS / math.sqrt(count - lag)
    # The same of each single bit: a fraction 1/2 of them changes over the lag.
    changes = unsigned(bits[:, lag:] ^ bits[:, :-lag])[0]
    for place in range(32):
        changed = ((changes >> np.uint32(place)) & np.uint32(1)).mean()
        assert abs(changed - 0.5) < SIGMAS / 2 / math.sqrt(count - lag)


def test_members_steps_and_purposes_are_independent():
    count = 2**14
    keys = draw_keys(noise_words(6), range(5), 4).flatten()
    streams = random_bits(keys, count)
    correlations = np.corrcoef(streams.double().numpy())
    others = correlations[~np.eye(len(keys), dtype=bool)]
    # 7,140 pairs: the largest of so many is expected near 4 standard deviations.
    assert np.abs(others).max() < 6 / math.sqrt(count)
    assert np.abs(others.mean()) < SIGMAS / math.sqrt(count * len(others))
    assert np.unique(streams[:, :100]).size > 0.999 * streams[:, :100].numel()


def test_neighbouring_keys_are_independent():
    # Not only the well mixed keys of draw_keys: 0, 1, 2, ... and single bits differ as little
    # as keys can.
    keys = torch.tensor([0, 1, 2, 3, 4, 8, 256, 2**16, 2**30, -(2**31), -1], dtype=torch.int32)
    count = 2**14
    correlations = np.corrcoef(random_bits(keys, count).double().numpy())
    assert np.abs(correlations[~np.eye(len(keys), dtype=bool)]).max() < 6 / math.sqrt(count)


def test_keys_of_many_steps_hardly_ever_coincide():
    keys = draw_keys(noise_words(100), range(100), 10).flatten()
    # n²/2**33 = 1.2 of 100,000 random keys of 32 bits are expected to.
    assert len(keys) - len(keys.unique()) < 10


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dropout", [0.02, 0.3, 0.5, 0.9])
def test_keep_rate_and_scale(dropout, dtype):
    count = 2**20
    factors = mask(some_keys(3), [dropout] * 3, (2**10, 2**10), dtype)
    kept = (1 - torch.tensor(dropout, dtype=dtype).double()).mul(2**15).round() / 2**15
    scale = kept.reciprocal().to(dtype)
    assert set(factors.unique().tolist()) == {0.0, scale.item()}
    kept = (factors != 0).flatten(1).sum(1)
    # The expectation of a factor, (1 - p) / (1 - p), is 1.
    deviation = math.sqrt(count * dropout * (1 - dropout))
    assert (kept - count * (1 - dropout)).abs().max() < SIGMAS * deviation


def test_no_dropout_keeps_everything_as_it_is():
    assert torch.equal(mask(some_keys(2), [0.0, 0.0], (2**18,)), torch.ones(2, 2**18))


def test_members_of_different_dropout_side_by_side():
    kept = (mask(some_keys(3), [0.0, 0.25, 0.75], (2**16,)) != 0).double().mean(1)
    assert kept.tolist() == pytest.approx([1.0, 0.75, 0.25], abs=SIGMAS * 0.44 / 2**8)


def test_more_dropout_silences_the_same_units_and_more():
    key = some_keys(1).expand(3)
    kept = mask(key, [0.1, 0.4, 0.8], (2**14,)) != 0
    assert (kept[0] | ~kept[1]).all()
    assert (kept[1] | ~kept[2]).all()


def test_masks_of_neighbouring_units_and_images_are_independent():
    batch, width = 2560, 100
    kept = (mask(some_keys(1), [0.3], (batch, width))[0] != 0).double() - 0.7
    for pair in (kept[1:] * kept[:-1], kept[:, 1:] * kept[:, :-1]):
        assert pair.mean().abs() < SIGMAS * 0.21 / math.sqrt(pair.numel())


def kolmogorov_distance(sample, distribution):
    """Largest distance of the empirical from the true distribution function, times sqrt(n)."""
    probability = distribution(np.sort(sample))
    steps = np.arange(len(sample) + 1) / len(sample)
    distance = max((probability - steps[:-1]).max(), (steps[1:] - probability).max())
    return distance * math.sqrt(len(sample))


# P(distance > 2.7) = 2 exp(-2 * 2.7²) = 1e-6 (Kolmogorov).
KOLMOGOROV = 2.7


def test_uniform_numbers():
    numbers = uniform(some_keys(4), 2**17)
    assert numbers.dtype == torch.float32
    assert numbers.min() > 0
    assert numbers.max() <= 1
    for sample in numbers.double().numpy():
        assert kolmogorov_distance(sample, lambda x: x) < KOLMOGOROV


def test_standard_normal_numbers():
    count = 2**17
    numbers = standard_normal(draw_keys(noise_words(4), [0], 2)[:, 0], count)
    assert numbers.dtype == torch.float32
    cdf = np.vectorize(NormalDist().cdf)
    for sample in numbers.double().numpy():
        assert kolmogorov_distance(sample[: 2**15], cdf) < KOLMOGOROV
        # Moments of the standard normal distribution and the variances of their estimates.
        for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
            error = (sample**power).mean() - moment
            assert abs(error) < SIGMAS * math.sqrt(variance / count), power
        for bound in (2.0, 3.0, 4.0):
            expected = 2 * NormalDist().cdf(-bound) * count
            assert abs((np.abs(sample) > bound).sum() - expected) < SIGMAS * math.sqrt(expected)


def test_normal_numbers_of_neighbours_and_members_are_independent():
    count = 2**16
    numbers = standard_normal(draw_keys(noise_words(8), [0], 2)[:, 0], count).double().numpy()
    correlations = np.corrcoef(np.concatenate([numbers[:, 1:], numbers[:, :-1]]))
    assert np.abs(correlations[~np.eye(16, dtype=bool)]).max() < SIGMAS / math.sqrt(count)


@pytest.mark.parametrize("count", [1, 2, 5, 257])
def test_permutations_hold_every_position_once(count):
    orders = permutations(some_keys(20), count)
    assert orders.dtype == torch.int64
    assert torch.equal(orders.sort(1).values, torch.arange(count).expand(20, count))


def test_all_orders_are_equally_likely():
    words = np.random.default_rng(0).integers(2**64, size=24_000, dtype=np.uint64)
    orders = permutations(draw_keys(words, [0], 1)[:, 0, 0], 4)
    counts = Counter(map(tuple, orders.tolist()))
    assert set(counts) == set(all_orders(range(4)))
    chi_square = sum((count - 1000) ** 2 / 1000 for count in counts.values())
    assert abs(chi_square - 23) < SIGMAS * math.sqrt(2 * 23)


def test_each_epoch_and_member_has_its_own_order():
    keys = draw_keys(noise_words(5), range(20), 1).flatten()
    assert len({tuple(order) for order in permutations(keys, 30).tolist()}) == 100


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_draws_the_same_bits():
    keys = some_keys(3)
    assert torch.equal(random_bits(keys.cuda(), 1000).cpu(), random_bits(keys, 1000))
    assert torch.equal(permutations(keys.cuda(), 1000).cpu(), permutations(keys, 1000))
