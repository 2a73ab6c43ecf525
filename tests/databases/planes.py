"""In which plane a database is traced: each in both, and in the kernel plane the longest ones only by `make test-all`."""

import pytest

BOTH = pytest.mark.parametrize("plane", ["daemon", "kernel"])
KERNEL_SLOW = pytest.mark.parametrize("plane", ["daemon", pytest.param("kernel", marks=pytest.mark.slow)])
