"""Where something is, as an encoder's two sides say it, or the scorer in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from g2d_bench.adapters import by_scorer
from g2d_bench.adapters.base import Job
from g2d_bench.adapters.heat import Heat
from g2d_bench.adapters.text_image import TextImage, chosen
from g2d_bench.encoders.heads.base import ImageEmbedding, TextEmbedding
from g2d_bench.errors import InputError

Ask = tuple[str, str]
"""An image, and what it is asked for."""


@dataclass(frozen=True)
class Pointer:
    """Asks the encoder of a job where something is: its scorer, where it has one, else its two sides.

    Attributes:
        job: the cell.
        both: image and text side; None where a scorer is asked.
    """

    job: Job
    both: TextImage | None

    @classmethod
    def of(cls, job: Job) -> Pointer:
        """Take the encoder of a job.

        Raises:
            NotApplicable: it has neither a scorer nor a text side.
        """
        return cls(job, None if job.encoder.scorer is not None else TextImage.of(job.encoder))

    def by_prompts(self, asked: Sequence[Ask], prompts: Mapping[str, Sequence[str]]) -> list[Heat]:
        """Return the mean over prompts of each image's map, [h, w]: in cosines, or as a scorer gives them.

        Args:
            asked: images, and for what.
            prompts: of everything that is asked for.

        Raises:
            InputError: a map has NaN or infinity.
        """
        if self.both is None:
            return by_scorer.heats(self.job, [(image, prompts[what]) for image, what in asked])
        texts = {what: self.both.embed_texts(prompts[what]) for what in dict.fromkeys(w for _, w in asked)}
        heats: dict[int, Heat] = {}
        for image, pairs in self._images(asked):
            by_what: dict[str, list[tuple[int, int]]] = {}
            for row, n in pairs:
                by_what.setdefault(asked[n][1], []).append((row, n))
            for what, some in by_what.items():
                shown, text = _rows(image, some), texts[what]
                rows = (torch.full((len(some),), k) for k in range(len(text.vector)))
                heats |= self._maps(asked, some, shown, [chosen(text, one) for one in rows])
        return [heats[n] for n in range(len(asked))]

    def by_phrases(self, asked: Sequence[Ask]) -> list[Heat]:
        """Return the map of each phrase on its image, [h, w]; see :meth:`by_prompts`."""
        if self.both is None:
            return by_scorer.heats(self.job, [(image, (phrase,)) for image, phrase in asked])
        heats: dict[int, Heat] = {}
        for image, pairs in self._images(asked):
            texts = list(dict.fromkeys(asked[n][1] for _, n in pairs))
            rows = torch.tensor([texts.index(asked[n][1]) for _, n in pairs])
            text = chosen(self.both.embed_texts(texts), rows)
            heats |= self._maps(asked, pairs, _rows(image, pairs), [text])
        return [heats[n] for n in range(len(asked))]

    def state(self) -> dict[str, Any]:
        """Name what took part, for the record."""
        return by_scorer.state(self.job) if self.both is None else self.both.state()

    def _images(self, asked: Sequence[Ask]) -> Iterator[tuple[ImageEmbedding, list[tuple[int, int]]]]:
        """Embed every image once; yield some with pairs of a row of theirs and a place in ``asked``."""
        assert self.both is not None
        places: dict[str, list[int]] = {}
        for n, (name, _) in enumerate(asked):
            places.setdefault(name, []).append(n)
        images = list(places)
        for part, image in self.both.embed_images(self.job, images, cells=True):
            yield image, [(row, n) for row, name in enumerate(images[part]) for n in places[name]]

    @torch.inference_mode()
    def _maps(
        self,
        asked: Sequence[Ask],
        pairs: Sequence[tuple[int, int]],
        shown: ImageEmbedding,
        texts: Sequence[TextEmbedding],
    ) -> dict[int, Heat]:
        """Return the mean over texts of the maps of images, by place in ``asked``."""
        assert self.both is not None
        mean = torch.stack([self.both.heads.local_map(shown, text).float() for text in texts]).mean(dim=0)
        finite = mean.isfinite().flatten(1).all(dim=1).tolist()
        if not all(finite):
            image, what = asked[pairs[finite.index(False)][1]]
            raise InputError(
                f"has NaN or infinity for {what!r} on image {image}; see what the encoder gives of it",
                field=f"map of {self.job.encoder.card.name}",
            )
        return {n: heat for (_, n), heat in zip(pairs, mean.cpu().numpy(), strict=True)}


def _rows(image: ImageEmbedding, pairs: Sequence[tuple[int, int]]) -> ImageEmbedding:
    """Take the images of pairs."""
    assert image.cells is not None
    which = torch.tensor([row for row, _ in pairs])
    return image._replace(vector=image.vector[which], cells=image.cells[which])
