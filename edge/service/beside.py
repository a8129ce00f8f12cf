"""Write the annotated pictures and videos of `edge run PATH ...`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence, Union

from edge import durable
from edge.errors import EdgeError, TempError
from edge.loop.parts import Extra, Running
from edge.service.annotate import Annotator, picture
from edge.service.mark import mark_mp4, marked_jpeg, marked_png
from edge.service.paths import Output
from edge.structures import Frame, Poses, RuleSummary

log = logging.getLogger(__name__)


class Beside(Extra):
    """Writes one annotated file for each picture and each video.

    Args:
        outputs: of each camera that is a file.

    Attributes:
        error: the first file that could not be written.
        finished: whether all cameras came to their end.
    """

    keeps_results = True

    def __init__(self, outputs: Mapping[str, Output]) -> None:
        self._outputs = outputs
        self._writers: Dict[str, Union[_Pictures, _Video]] = {}
        self._running: Optional[Running] = None
        self.error: Optional[EdgeError] = None
        self.finished = False

    def attach(self, running: Running) -> None:
        """Annotate every frame from now on."""
        self._running = running
        for camera, output in self._outputs.items():
            self._writers[camera] = (
                _Pictures(output) if output.video is None else _Video(output.video, camera)
            )
        running.watch(self)

    def __call__(self, frames: Sequence[Frame], poses: Sequence[Poses]) -> None:
        """Draw a step of the loop; frames are borrowed."""
        for frame, people in zip(frames, poses):
            writer = self._writers.get(frame.camera)
            if writer is not None:
                self._try(writer, frame, people, self._summaries(frame.camera))

    def tick(self) -> None:
        """Note whether all cameras have ended."""
        self.finished = self._running is not None and self._running.cameras.ended

    def close(self) -> None:
        """Finish the videos."""
        for writer in self._writers.values():
            self._try(writer.close)
        self._writers = {}

    def _summaries(self, camera: str) -> Sequence[RuleSummary]:
        known = self._running and self._running.pipeline.stages.get(camera)
        return known.summaries() if known else ()

    def _try(self, write: Any, *arguments: Any) -> None:
        """Write; a full disk ends no run, since results may go elsewhere, too."""
        try:
            write(*arguments)
        except OSError as error:
            failed = TempError(f"{error.filename}: {error.strerror}; make room, or use --output")
            log.error("%s", failed)
            self.error = self.error or failed


class _Pictures:
    """Writes each picture of one camera as a file."""

    def __init__(self, output: Output) -> None:
        self._files = output.pictures

    def __call__(self, frame: Frame, poses: Poses, summaries: Sequence[RuleSummary]) -> None:
        source, path = self._files[frame.index]
        jpeg = path.suffix.lower() != ".png"
        data = picture(frame, poses, summaries, ".jpg" if jpeg else ".png")
        mark = marked_jpeg if jpeg else marked_png
        durable.write_whole(path, mark(data), durable.READABLE)
        log.info("%s: %d people; annotated: %s", source, len(poses), path)

    def close(self) -> None:
        """Nothing to do: every picture is complete."""


class _Video:
    """Writes the video of one camera under another name until it is complete."""

    def __init__(self, path: Path, camera: str) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.part.mp4")
        self._shown: Sequence[RuleSummary] = ()
        self._annotator = Annotator(self._part, [camera], lambda _: self._shown)

    def __call__(self, frame: Frame, poses: Poses, summaries: Sequence[RuleSummary]) -> None:
        self._shown = summaries
        self._annotator([frame], [poses])

    def close(self) -> None:
        """Complete the file."""
        self._annotator.close()
        if not self._part.exists():
            return
        mark_mp4(self._part)
        self._part.replace(self._path)
        log.info("%d pictures; annotated: %s", self._annotator.pictures, self._path)
