"""The bytes of a generated data set depend on no processor, number of threads or vector unit of a library."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from g2d_bench import phantom
from g2d_bench.phantom import PROFILES, generate, profile_of

SAMPLE = Path(__file__).with_name("sample.py")
FOUND: list[str] = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
"""What numpy finds on this processor beyond what it was built for."""
WIDE = [name for name in FOUND if name.startswith("AVX512")]
FUSED = [name for name in FOUND if name in ("AVX2", "FMA3")]
SETTINGS = {
    "as it is": {},
    "without AVX-512": {"NPY_DISABLE_CPU_FEATURES": " ".join(WIDE)},
    "without AVX-512, AVX2 and FMA": {
        "NPY_DISABLE_CPU_FEATURES": " ".join(WIDE + FUSED),
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F",
    },
    "nothing but what numpy was built for, one thread": {
        "NPY_DISABLE_CPU_FEATURES": " ".join(FOUND),
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F,-SSE4_2",
        "OPENCV_CPU_DISABLE": "SSE4_1,SSE4_2,AVX,FP16,AVX2,FMA3,AVX512-SKX",
        "OPENBLAS_CORETYPE": "Nehalem",
        "JSIMD_FORCENONE": "1",
        "OMP_NUM_THREADS": "1",
    },
}


def sample(folder: Path, setting: str, *arguments: str) -> dict[str, str]:
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(SAMPLE), str(folder), *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "2", "PYTHONPATH": path} | SETTINGS[setting],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    hashes: dict[str, str] = json.loads(done.stdout)
    return hashes


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return sample(tmp_path_factory.mktemp("usual"), "as it is")


@pytest.mark.parametrize("setting", [name for name in SETTINGS if name != "as it is"])
def test_a_sample_of_every_data_set_has_the_same_bytes(
    here: dict[str, str], setting: str, tmp_path: Path
) -> None:
    there = sample(tmp_path, setting)
    assert len(there) > 60
    assert {name for name in here.keys() | there.keys() if here.get(name) != there.get(name)} == set()


@pytest.mark.skipif("FMA3" not in FOUND, reason="numpy has one exponential only on this processor")
def test_an_exponential_that_numpy_chooses_would_be_found(tmp_path: Path) -> None:
    usual, bare = (
        sample(tmp_path / str(k), setting, "exp")
        for k, setting in enumerate(("as it is", "without AVX-512, AVX2 and FMA"))
    )
    differ = {name for name in usual if usual[name] != bare[name]}
    assert {f"{dataset}: attenuation" for dataset in PROFILES} <= differ


PIXELS = {
    "siim": "c5091d17aabd9f2f",
    "rsna": "ee55d30d9a64eb6e",
    "object-cxr": "737612549625c1f5",
    "chexpert": "24843691c8e19257",
    "cxr14": "cea403c34d7a9edf",
    "covidx": "1e228ce0663f8f4d",
    "mimic-cxr": "b83a799dec3bdf92",
    "ms-cxr": "31c0de65fbfe229e",
    "covid-cxr": "571fc3e401a35d64",
    "openi": "9399edbe6db424f7",
    "folder": "b6de403e90522409",
    "nih1k": "882b448e624663fc",
    "chestxdet10": "1d32db9aab8f5a30",
    "montgomery": "b9fa05afb5e8660d",
    "shenzhen": "f56ab7bf183f537f",
    "jsrt": "3bd5590eec7aa735",
}
"""Hash of three films, their masks and words.

It changes only when the generator draws something else on purpose: then every number measured on generated
data has to be measured anew.
"""


def digest(dataset: str) -> str:
    found = hashlib.sha256()
    for index in (3, 8, 13):
        made = generate(dataset, index, seed=0, size=256, profile=profile_of(dataset))
        found.update(made.image.tobytes())
        for mask in made.finding_masks:
            found.update(np.packbits(mask).tobytes())
        words = [made.boxes, [phrase.text for phrase in made.phrases], made.report and made.report.text]
        found.update(repr(words).encode())
    return found.hexdigest()[:16]


@pytest.mark.parametrize("dataset", PROFILES)
def test_the_films_are_those_of_every_machine(dataset: str) -> None:
    assert digest(dataset) == PIXELS[dataset]


FORBIDDEN = frozenset(
    {
        "arccos",
        "arcsin",
        "arctan",
        "arctan2",
        "average",
        "cbrt",
        "convolve",
        "corrcoef",
        "correlate",
        "cos",
        "cosh",
        "cov",
        "dot",
        "einsum",
        "exp",
        "exp2",
        "expm1",
        "fft",
        "float_power",
        "hypot",
        "i0",
        "inner",
        "interp",
        "linalg",
        "log",
        "log10",
        "log1p",
        "log2",
        "matmul",
        "mean",
        "nansum",
        "polyfit",
        "polyval",
        "power",
        "prod",
        "sin",
        "sinc",
        "sinh",
        "std",
        "sum",
        "tan",
        "tanh",
        "tensordot",
        "var",
        "vdot",
    }
)
"""Functions of numpy that choose a kernel by processor, call the C library, or add up in their own order."""
SAFE = {("seeds.py", "prod"), ("single.py", "exp")}
"""A use on whole numbers, and one whose bits are first held against steps that are written out."""
MODULES = {"random": {"seeds.py"}, "scipy.ndimage": {"rsna.py", "siim.py"}}
"""Who may draw random numbers, and who may label the parts of a mask, which is done in whole numbers."""


def offence(node: ast.AST, file: str) -> str:
    """What of an expression IEEE 754 does not fix, or nothing."""
    match node:
        case ast.Attribute(value=ast.Name(id="np"), attr=name):
            foreign = name in FORBIDDEN and (file, name) not in SAFE
            return f"np.{name}" if foreign or (name == "random" and file not in MODULES["random"]) else ""
        case ast.Attribute(value=ast.Name(id="math"), attr=name):
            return "" if name in ("factorial", "frexp", "ldexp", "inf") else f"math.{name}"
        case ast.BinOp(op=ast.MatMult()):
            return "@"
        case ast.BinOp(op=ast.Pow(), left=base):
            # Powers of 2, and those of 10 in whole numbers or decimals, are exact.
            exact = ast.unparse(base) in ("2", "2.0", "10", "(-1.0)", "-1.0", "Decimal(10)")
            return "" if exact else "**"
        case ast.ImportFrom(module=str(module)):
            foreign = module.split(".")[0] in ("scipy", "cv2", "skimage")
            return module if foreign and file not in MODULES.get(module, set()) else ""
    return ""


def offences(path: Path) -> list[str]:
    """Operations in a module whose result IEEE 754 does not fix."""
    nodes = ast.walk(ast.parse(path.read_text()))
    found = [(getattr(node, "lineno", 0), offence(node, path.name)) for node in nodes]
    return [f"{path.name}:{line}: {what}" for line, what in found if what]


def test_nothing_on_the_way_to_a_byte_leaves_its_rounding_to_others() -> None:
    paths = sorted(Path(phantom.__file__).parent.rglob("*.py"))
    assert len(paths) > 30
    assert [offence for path in paths for offence in offences(path)] == []


@pytest.mark.parametrize(
    "text",
    [
        "np.exp(x)",
        "x ** 3",
        "a @ b",
        "np.random.default_rng(0)",
        "math.tanh(x)",
        "from scipy.ndimage import zoom",
    ],
)
def test_an_operation_that_leaves_it_to_others_is_found(text: str, tmp_path: Path) -> None:
    path = tmp_path / "drawing.py"
    path.write_text(text)
    assert len(offences(path)) == 1
