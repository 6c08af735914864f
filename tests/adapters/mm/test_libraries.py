from __future__ import annotations

import json
import subprocess
import sys

import pytest

from g2d_bench.adapters.mm import libraries

CODE = """
import json, sys
from g2d_bench.adapters.mm.runner import import_quietly
heavy = ("mmdet", "transformers", "sklearn", "pandas", "imgaug")
def present():
    return [name for name in heavy if name in sys.modules]
import_quietly("g2d_bench.adapters.mm.segmentation")
import_quietly("g2d_bench.adapters.mm.segmentation_steps")
seen = [present()]
import_quietly("g2d_bench.adapters.mm.detection")
import_quietly("g2d_bench.adapters.mm.detection_steps")
seen.append(present())
from sklearn.base import clone
from transformers import BertModel
print(json.dumps([*seen, clone.__name__, BertModel.__name__]))
"""


def test_what_nothing_here_builds_is_not_imported_and_still_can_be() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], ["mmdet"], "clone", "BertModel"]


def test_packages_are_absent_within_and_as_before_after() -> None:
    absent = "antigravity"
    assert absent not in sys.modules
    with libraries.without((absent, "json")):
        with pytest.raises(ModuleNotFoundError, match=absent):
            __import__(absent)
        assert sys.modules["json"] is json
        assert json.loads("1") == 1
    assert absent not in sys.modules
    with pytest.raises(KeyError), libraries.without((absent,)):
        raise KeyError
    assert absent not in sys.modules
