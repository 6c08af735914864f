"""Phantom: generated chest radiographs with findings, masks, phrases and reports, in public raw layouts."""

from __future__ import annotations

from g2d_bench.phantom.ensure import ensure, is_current
from g2d_bench.phantom.generate import Phantom, generate, realise
from g2d_bench.phantom.profile import PROFILES, Profile, profile_of
from g2d_bench.phantom.scene import Finding, Scene

__all__ = [
    "PROFILES",
    "Finding",
    "Phantom",
    "Profile",
    "Scene",
    "ensure",
    "generate",
    "is_current",
    "profile_of",
    "realise",
]
