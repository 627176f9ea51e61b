import time

import pytest


@pytest.mark.parametrize("n", range(2))
def test_s(alice, n):
    time.sleep(60)
