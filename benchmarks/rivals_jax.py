"""What an expert would write in JAX instead, one compiled epoch of all members: see `rivals.py`.

Members are divided among the devices, each with a thread of its own. On a device, `lax.map` takes
one member after the other through an epoch, whose numbers then stay in the cache: measured, it is
faster than `vmap` at every size of batch, at full batch nearly twice as fast. With `hashed`,
dropout is ours: the same hash of (seed, step, layer, unit), so that the losses are ours as well,
but for rounding.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rivals import IMAGES, LABELS, Problem, Run

from sbt_utils.ensembles.noise import _MIX32, draw_keys, seed_words
from sbt_utils.training.steps import _DROPOUT

RATE, BETAS, EPSILON = 1e-3, (0.9, 0.999), 1e-8
Arrays = dict[str, Any]


def mixed(x: jax.Array) -> jax.Array:
    """Return Wellons' "lowbias32" of unsigned integers."""
    for shift, multiplier in _MIX32:
        x = (x ^ (x >> shift)) * jnp.uint32(multiplier % 2**32)
    return x ^ (x >> 16)


def kept_by_hash(key: jax.Array, p: float, shape: tuple[int, int]) -> jax.Array:
    """Return which units `sbt_utils.ensembles.noise.keep_mask` keeps: a word serves two."""
    words = mixed(mixed(jnp.arange(shape[0] * shape[1] // 2, dtype=jnp.uint32)) + key)
    halves = jax.lax.bitcast_convert_type(words, jnp.int16).reshape(shape)
    return (halves >> 1) < round((1 - p) * 2**15) - 2**14


def kept_by_jax(key: jax.Array, p: float, shape: tuple[int, int]) -> jax.Array:
    return jax.random.bernoulli(key, 1 - p, shape)


def loss_of(
    trained: Arrays, running: Arrays, images: Any, labels: Any, keys: Any, p: float, kept: Any
) -> tuple[jax.Array, Arrays]:
    """Return a member's loss on a batch, and its running statistics after it."""
    after = {}

    def normed(x: jax.Array, name: str) -> jax.Array:
        mean, variance = x.mean(0), x.var(0)
        unbiased = variance * (len(x) / (len(x) - 1))
        for each, now in (("mean", mean), ("var", unbiased)):
            after[f"{name}.running_{each}"] = 0.9 * running[f"{name}.running_{each}"] + 0.1 * now
        scale = jax.lax.rsqrt(variance + 1e-5) * trained[f"{name}.weight"]
        return (x - mean) * scale + trained[f"{name}.bias"]

    def linear(x: jax.Array, name: str) -> jax.Array:
        return x @ trained[f"{name}.weight"].T + trained[f"{name}.bias"]

    x = normed(images, "input_norm")
    for layer in range(1, len(keys) + 1):
        x = jax.nn.relu(normed(linear(x, f"linear{layer}"), f"norm{layer}"))
        if p:
            x = jnp.where(kept(keys[layer - 1], p, x.shape), x / (1 - p), 0.0)
    logs = jax.nn.log_softmax(linear(x, "readout"))
    return -logs[jnp.arange(len(labels)), labels].mean(), after


def adam(value: Any, gradient: Any, first: Any, second: Any, step: Any) -> tuple[Any, Any, Any]:
    first = BETAS[0] * first + (1 - BETAS[0]) * gradient
    second = BETAS[1] * second + (1 - BETAS[1]) * gradient**2
    spread = jnp.sqrt(second / (1 - BETAS[1] ** step)) + EPSILON
    return value - RATE / (1 - BETAS[0] ** step) * first / spread, first, second


def epoch_of(carry: Any, order: Any, keys: Any, problem: Problem, kept: Any) -> tuple[Any, Any]:
    """Take a member once through the images in this order; return its mean loss."""
    images, labels = jnp.asarray(IMAGES.flatten(1).numpy()), jnp.asarray(LABELS.numpy())

    def step(carry: Any, given: Any) -> tuple[Any, Any]:
        (trained, running, first, second, count), (places, step_keys) = carry, given
        whole = problem.batch == len(labels)
        batch = (images, labels) if whole else (images[places], labels[places])
        gradient_of = jax.value_and_grad(loss_of, has_aux=True)
        (loss, running), gradient = gradient_of(
            trained, running, *batch, step_keys, problem.dropout, kept
        )
        count = count + 1
        moved = {
            name: adam(value, gradient[name], first[name], second[name], count)
            for name, value in trained.items()
        }
        trained, first, second = ({name: m[i] for name, m in moved.items()} for i in range(3))
        return (trained, running, first, second, count), loss

    carry, losses = jax.lax.scan(step, carry, (order.reshape(-1, problem.batch), keys))
    return carry, losses.mean()


def on_device(problem: Problem, hashed: bool, device: Any) -> Callable[[int], np.ndarray]:
    """Return a function that trains some members on a device and returns their losses."""
    kept = kept_by_hash if hashed else kept_by_jax
    epoch = partial(epoch_of, problem=problem, kept=kept)
    compiled = jax.jit(lambda *given: jax.lax.map(lambda one: epoch(*one), given), donate_argnums=0)
    state = {name: tensor.numpy() for name, tensor in problem.state().items()}
    trained = {name: each for name, each in state.items() if name.endswith(("weight", "bias"))}
    running = {name: each for name, each in state.items() if "running" in name}
    words = np.array([seed_words(seed)[1] for seed in problem.seeds])
    steps, layers = len(LABELS) // problem.batch, (len(problem.network) - 3) // 4
    draws = np.random.default_rng(0)

    def run(epochs: int) -> np.ndarray:
        zeros = [{name: np.zeros_like(each) for name, each in trained.items()} for _ in range(2)]
        carry = (trained, running, *zeros, np.zeros(len(words), np.float32))
        carry = jax.device_put(carry, device)
        order = np.tile(np.arange(len(LABELS), dtype=np.int32), (len(words), 1))
        for number in range(epochs):
            numbers = range(number * steps, (number + 1) * steps)
            if hashed:
                drawn = draw_keys(words, numbers, _DROPOUT + layers)[:, :, _DROPOUT:]
                keys = drawn.numpy().view(np.uint32)
            else:
                bits = draws.integers(2**32, size=(len(words), steps, layers, 2), dtype=np.uint32)
                keys = jax.random.wrap_key_data(jax.device_put(bits, device))
            if steps > 1:
                order = draws.permuted(order, axis=1)
            carry, losses = compiled(carry, *jax.device_put((order, keys), device))
        return np.asarray(losses)

    return run


def rival(problem: Problem, hashed: bool) -> Run:
    """Make compiled epochs, the members divided among all devices."""
    devices = jax.devices()
    parts = problem.parts(len(devices))
    runs = [on_device(p, hashed, device) for p, device in zip(parts, devices, strict=True)]
    pool = ThreadPoolExecutor(len(devices))

    def run(epochs: int) -> float:
        return float(np.concatenate(list(pool.map(lambda each: each(epochs), runs))).mean())

    return run
