"""Tests of chains run once for each order and each kind of noise that they ask for."""

import pytest


@pytest.fixture(params=[False, True])
def overdamped(request):
    """Second order, then first."""
    return request.param


@pytest.fixture(params=[False, True])
def common(request):
    """Noise of each block's own, then noise common to all."""
    return request.param
