"""Build the one extension, cgmm._kernels; everything else is in pyproject.toml.

CGMM_WERROR=1 turns compiler warnings into errors.
"""

import os
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

# No -march: each target file says what it may use. No -ffast-math: it cancels the rounding in exp.
COMPILE = ["-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
WARN = ["-Wall", "-Wextra", "-Wno-unused-function"]
OPENMP_PROGRAM = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"
OPENMP_FLAGS = (["-fopenmp"], ["-Xpreprocessor", "-fopenmp", "-lomp"])


class BuildKernels(build_ext):
    """Compile with OpenMP where the compiler has it, and as a serial core where it has not."""

    def openmp_flags(self):
        if os.environ.get("CGMM_OPENMP", "1") == "0":
            return []
        for flags in OPENMP_FLAGS:
            with tempfile.TemporaryDirectory() as folder:
                source = Path(folder, "probe.c")
                source.write_text(OPENMP_PROGRAM)
                try:
                    objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=flags)
                    self.compiler.link_shared_object(objects, "probe", output_dir=folder, extra_postargs=flags)
                except (CompileError, LinkError):
                    continue
                return flags
        print("cgmm: no OpenMP found; building a serial core")
        return []

    def build_extensions(self):
        openmp = self.openmp_flags()
        warn = WARN + (["-Werror"] if os.environ.get("CGMM_WERROR") == "1" else [])
        for extension in self.extensions:
            extension.extra_compile_args = COMPILE + warn + openmp
            extension.extra_link_args = openmp
        super().build_extensions()


SOURCES = ["src/_kernels.pyx", *(f"src/simd/{name}.c" for name in ("baseline", "avx2", "avx512", "cpu"))]
HEADERS = [str(path) for path in Path("src").rglob("*.[ph]*")]

setup(
    ext_modules=cythonize(
        [Extension("cgmm._kernels", SOURCES, depends=HEADERS, include_dirs=["src"])],
        include_path=["src"],
        build_dir="build",
    ),
    cmdclass={"build_ext": BuildKernels},
)
