"""Builds fastbatch.pyx: see make_emulator.sh."""

from Cython.Build import cythonize
from setuptools import Extension, setup

setup(
    name="rp2040fastbatch",
    version="0",
    py_modules=[],
    ext_modules=cythonize(
        [
            Extension(
                "fastbatch", ["fastbatch.pyx"], depends=["thumb.h"], extra_compile_args=["-O3"]
            )
        ]
    ),
)
