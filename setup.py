"""One wheel: the package, its entry point, and the recorder's binary in the scripts folder.

It is tagged py3-none-PLATFORM: the binary does not depend on a Python, only on a platform.
"""

import sys

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools_rust import RustBin

# Elsewhere glassfs only reads traces, and the wheel is pure Python.
CAN_RECORD = sys.platform.startswith("linux")


class PlatformWheel(bdist_wheel):
    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = not CAN_RECORD

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


setup(
    cmdclass={"bdist_wheel": PlatformWheel},
    # Release also for editable installs: a second profile would compile arrow and parquet twice.
    rust_extensions=[RustBin("glassfs-recorder", path="recorder/Cargo.toml", args=["--locked"], debug=False)]
    if CAN_RECORD
    else [],
)
