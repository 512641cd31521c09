"""Build the one extension, cgmm._kernels; everything else is in pyproject.toml.

CGMM_WERROR=1 turns compiler warnings into errors; CGMM_OPENMP=0 builds a serial core.
"""

import os
import re
import shutil
import sysconfig
import tempfile
import tomllib
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError, PlatformError

# No -march: each target file says what it may use. No -ffast-math: it cancels the rounding in exp.
COMPILE = ["-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
WARN = ["-Wall", "-Wextra", "-Wno-unused-function"]
PROGRAM = "int main(void) { return 0; }\n"
PYTHON_PROGRAM = "#include <Python.h>\n" + PROGRAM
OPENMP_PROGRAM = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"
OPENMP_FLAGS = [  # of the compiler and of the linker: GCC and Clang, Apple's Clang with libomp
    (["-fopenmp"], ["-fopenmp"]),
    (["-Xpreprocessor", "-fopenmp"], ["-lomp"]),
]
OPENMP_FLAGS_OF_CLANG_CL = [(["/clang:-fopenmp"], ["libomp.lib"])]
NEEDS_COMPILER = (
    "cgmm is compiled when it is installed from source, and a C compiler is needed: apt install gcc (Debian, Ubuntu), "
    "dnf install gcc (Fedora), apk add gcc musl-dev (Alpine), xcode-select --install (macOS); on "
    "Windows LLVM, whose clang-cl must be on the PATH, beside Microsoft's build tools"
)
NEEDS_HEADERS = (
    "cgmm is compiled when it is installed from source, and Python's C headers are needed: apt install python3-dev "
    "(Debian, Ubuntu), dnf install python3-devel (Fedora), apk add python3-dev (Alpine)"
)


class BuildKernels(build_ext):
    """Compile with OpenMP where the compiler has it, and as a serial core where it has not."""

    def works(self, program, compile_flags=(), link_flags=None):
        """Whether a program compiles, and links if there are flags for that."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(program)
            options = {"output_dir": folder, "include_dirs": [sysconfig.get_paths()["include"], *self.include_dirs]}
            try:
                objects = self.compiler.compile([str(source)], extra_postargs=list(compile_flags), **options)
                if link_flags is not None:
                    self.compiler.link_shared_object(objects, "probe", output_dir=folder, extra_postargs=link_flags)
            except (CompileError, LinkError):
                return False
            return True

    def openmp_flags(self, possible):
        """Those that work, of the compiler and of the linker."""
        if os.environ.get("CGMM_OPENMP", "1") == "0":
            return [], []
        for compile_flags, link_flags in possible:
            if self.works(OPENMP_PROGRAM, compile_flags, link_flags):
                return compile_flags, link_flags
        print("cgmm: this C compiler has no OpenMP, so passes will use one thread each")
        return [], []

    def use_clang_cl(self):
        """The kernels are written with vector extensions, which Microsoft's own compiler has not."""
        self.compiler.initialize()
        self.compiler.cc = shutil.which("clang-cl")
        if self.compiler.cc is None:
            raise PlatformError(NEEDS_COMPILER)

    def build_extensions(self):
        windows = self.compiler.compiler_type == "msvc"
        if windows:
            self.use_clang_cl()
        if not self.works(PROGRAM):
            raise PlatformError(NEEDS_COMPILER)
        if not self.works(PYTHON_PROGRAM):
            raise PlatformError(NEEDS_HEADERS)
        openmp, openmp_link = self.openmp_flags(OPENMP_FLAGS_OF_CLANG_CL if windows else OPENMP_FLAGS)
        flags = [f"/clang:{flag}" for flag in COMPILE] if windows else COMPILE + WARN
        strict = ["-Werror"] if os.environ.get("CGMM_WERROR") == "1" else []
        for extension in self.extensions:
            extension.extra_compile_args = flags + strict + openmp
            extension.extra_link_args = openmp_link
        super().build_extensions()


def long_description():
    """README.md for a package index, where links of a repository's files lead nowhere.

    They are made absolute where pyproject.toml names the repository; where it names none, their words stay, and
    pictures are left out.
    """
    text = Path("README.md").read_text(encoding="utf-8")
    urls = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"].get("urls", {})
    link = r"\]\((?!https?://)([^)]+)\)"
    if "Repository" in urls:
        root = urls["Repository"].rstrip("/")
        text = re.sub(rf"(!\[[^\]]*{link})", lambda found: found[1].replace("](", f"]({root}/raw/HEAD/"), text)
        return re.sub(link, rf"]({root}/blob/HEAD/\1)", text)
    text = re.sub(rf"!\[[^\]]*{link}\n*", "", text)
    return re.sub(rf"\[([^\]]+){link}", r"\1", text)


SOURCES = ["src/_kernels.pyx", *(f"src/simd/{name}.c" for name in ("baseline", "avx2", "avx512", "cpu"))]
HEADERS = [str(path) for path in Path("src").rglob("*.[ph]*")]

setup(
    long_description=long_description(),
    long_description_content_type="text/markdown",
    ext_modules=cythonize(
        [Extension("cgmm._kernels", SOURCES, depends=HEADERS, include_dirs=["src"])],
        include_path=["src"],
        build_dir="build",
    ),
    cmdclass={"build_ext": BuildKernels},
)
