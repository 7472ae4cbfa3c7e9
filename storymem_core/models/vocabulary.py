"""Text -> word ids: known words one by one, unknown ones in a few buckets, so that no text fails.

Standard library only: the small world's stories become tokens without torch.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from functools import cached_property

PAD, END, FIRST_BUCKET = 0, 1, 2
"""Token ids; the buckets of unknown words follow, then the known words."""

_WORD = re.compile(r"[^\W_]+")
_POSSESSIVE = re.compile(r"['’]s\b")


def split(text: str) -> list[str]:
    """The words of a text in lower case; punctuation, emoji and the possessive 's are dropped."""
    return _WORD.findall(_POSSESSIVE.sub("", text.lower()))


@dataclass(frozen=True)
class Vocabulary:
    """The words that an encoder knows, and the length of a text.

    Attributes:
        words: known words, in lower case; their order gives their ids.
        buckets: how many ids unknown words share; which one is a word's, says its checksum.
        max_tokens: longer texts are cut there, the end token included.
        min_tokens: shorter texts are padded to it. A trained model wants the length of its training, since
            Wan's cross-attention sees padding.
    """

    words: tuple[str, ...] = ()
    buckets: int = 8
    max_tokens: int = 48
    min_tokens: int = 48

    def __len__(self) -> int:
        """How many ids there are: the rows of an encoder's table."""
        return FIRST_BUCKET + self.buckets + len(self.words)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """A name for people per id."""
        return ("<pad>", "<end>", *(f"<unknown {index}>" for index in range(self.buckets)), *self.words)

    def tokens(self, text: str) -> list[int]:
        """The ids of a text's words and the end token, however many."""
        return [*map(self._id, split(text)), END]

    def encode(self, text: str) -> list[int]:
        """The ids of a text as an encoder reads them: cut to `max_tokens`, padded to `min_tokens`."""
        words = self.tokens(text)[:-1]
        ids = [*words[: self.max_tokens - 1], END]
        return ids + [PAD] * (self.min_tokens - len(ids))

    def _id(self, word: str) -> int:
        # A checksum, since Python's own hash differs from run to run.
        bucket = zlib.crc32(word.encode("utf-8")) % self.buckets
        return self._ids.get(word, FIRST_BUCKET + bucket)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: FIRST_BUCKET + self.buckets + index for index, word in enumerate(self.words)}
