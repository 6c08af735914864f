"""What kinds of images a data set holds."""

from __future__ import annotations

import pytest

from g2d_bench.errors import InputError
from g2d_bench.phantom.labels import DRAWN
from g2d_bench.phantom.profile import PROFILES, Profile, profile_of


def test_unknown_profile() -> None:
    with pytest.raises(InputError, match="'siim'"):
        profile_of("simm")
    assert profile_of("siim").prevalence["Pneumothorax"] == pytest.approx(0.2216)
    assert Profile().prevalence


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_shares_are_shares(name: str) -> None:
    profile = profile_of(name)
    assert set(profile.prevalence) <= set(DRAWN)
    rates = [*profile.prevalence.values(), profile.subtle, profile.confounded, profile.negatives_clean]
    assert all(0 <= rate <= 1 for rate in [*rates, profile.devices, profile.objects, profile.old])
    assert sum(profile.views.values()) == pytest.approx(1)
    assert sum(profile.images_per_patient) == pytest.approx(1)
    assert sum(profile.prevalence[label] for label in profile.exclusive) <= 1
