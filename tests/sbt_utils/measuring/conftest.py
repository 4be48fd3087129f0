"""Tests of separations run once for each measure that they ask for."""

import pytest

from sbt_utils.measuring.curves import MEASURES


@pytest.fixture(params=MEASURES)
def measure(request):
    return request.param
