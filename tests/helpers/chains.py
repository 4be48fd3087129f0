"""What tests of chains share."""

LAST = 10**9  # every: keep the first state and the last


def run(chain, overdamped, *arguments, **settings):
    """Simulate a chain in first order, overdamped, or in second."""
    simulate = chain.simulate_overdamped if overdamped else chain.simulate
    return simulate(*arguments, **settings)
