"""Scratch files for the members of containers, hashed while they are written."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from auditor import platform
from auditor.evidence.containers.decompress import STEP, Damaged, Stream
from auditor.evidence.file import EvidenceFile
from auditor.evidence.hashing import HashWhileWriting
from auditor.evidence.scratch import ScratchFile


@dataclass
class ExtractedFile:
    """A scratch file with the content of a container's member."""

    descriptor: int
    hashing: HashWhileWriting | None
    """Its hashes, computed in a thread; None where nobody wants them."""
    size: int = 0
    broken: str = ""
    """The reason that the content is incomplete; empty where it is whole."""

    def blocks(self) -> Iterator[bytes]:
        """Its content, read again."""
        at = 0
        while block := platform.read_at(self.descriptor, STEP, at):
            yield block
            at += len(block)

    def close(self) -> None:
        """Stop hashing and close the file, which is gone then."""
        if self.hashing is not None:
            self.hashing.stop()
        os.close(self.descriptor)

    def open(self, name: str) -> EvidenceFile:
        """The file as evidence, which owns the descriptor from now on."""
        return EvidenceFile.adopt(self.descriptor, name, hashing=self.hashing)


class Extractor:
    """The maker of scratch files in one folder; the system's folder for temporary files where its name is empty."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def fill(self, stream: Stream, name: str, expected: int = 0, *, hashed: bool = False) -> ExtractedFile:
        """A new file with the content of the stream.

        Args:
            stream: The content.
            name: The member's name in messages.
            expected: Bytes of the content; 0 where they are unknown.
            hashed: Whether it is hashed.

        Raises NoRoom, UsageError where no file can be made, and any exception of the stream's but Damaged.
        """
        with ScratchFile(self._folder, name) as file:
            file.expect(expected)
            hashing = HashWhileWriting(file.descriptor) if hashed else None
            try:
                broken = _copy(stream, file, hashing)
            except BaseException:
                if hashing is not None:
                    hashing.stop()
                raise
            if hashing is not None:
                hashing.finish(file.size)
            return ExtractedFile(file.release(), hashing, file.size, broken)


def _copy(stream: Stream, file: ScratchFile, hashing: HashWhileWriting | None) -> str:
    """Copy the stream; the reason that it ends early, empty where it does not."""
    try:
        while block := stream.read():
            file.write(block)
            if hashing is not None:
                hashing.written(file.size)
    except Damaged as error:
        return str(error)
    return ""
