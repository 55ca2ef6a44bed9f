"""Private files for what was unpacked, hashed while they are filled."""

import os
from dataclasses import dataclass

from auditor.evidence.containers.decompress import Damaged, Stream
from auditor.evidence.file import EvidenceFile
from auditor.evidence.hashing import HashWhileWriting
from auditor.evidence.scratch import ScratchFile


@dataclass
class ExtractedFile:
    """A private file. hashing: its hashes, being made. broken: why it is not whole; empty where it is."""

    descriptor: int
    hashing: HashWhileWriting | None
    size: int = 0
    broken: str = ""

    def close(self) -> None:
        if self.hashing is not None:
            self.hashing.stop()
        os.close(self.descriptor)

    def open(self, name: str) -> EvidenceFile:
        """As evidence, which takes the descriptor."""
        return EvidenceFile.adopt(self.descriptor, name, hashing=self.hashing)


class Extractor:
    """Private files in one folder, the system's own for temporary files where none is given."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def fill(self, stream: Stream, name: str, expected: int = 0, *, hashed: bool = False) -> ExtractedFile:
        """A new file with all that the stream gives.

        expected: bytes, where they are known. Raises NoRoom, UsageError where no file can be made, and what the
        stream raises but Damaged.
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
    """Why not all of the stream could be had; empty where it was."""
    try:
        while block := stream.read():
            file.write(block)
            if hashing is not None:
                hashing.written(file.size)
    except Damaged as error:
        return str(error)
    return ""
