"""Reads the tar shards in `data/posters/`: each holds posters as they were served."""

import tarfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Member:
    """Where one poster's bytes lie in a tar shard.

    film_id: the film.
    tar: the tar shard.
    offset, size: of the bytes in it.
    """

    film_id: str
    tar: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """The poster's bytes."""
        with self.tar.open("rb") as tar:
            tar.seek(self.offset)
            return tar.read(self.size)


def members(tar: Path) -> list[Member]:
    """The posters in a tar shard, in their order."""
    with tarfile.open(tar) as shard:
        return [Member(Path(member.name).stem, tar, member.offset_data, member.size) for member in shard]
