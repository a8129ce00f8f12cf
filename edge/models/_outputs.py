"""A network of a model: fills its input, and checks and names its outputs."""

from __future__ import annotations

import logging
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from edge import skeletons
from edge.errors import ConfigError, DataError
from edge.models._bars import Bars
from edge.models._preprocess import crops as preprocess
from edge.recipe import Network, Recipe
from edge.runtime import Crops, Runner
from edge.runtime.kernels.decode import Chosen, Rows
from edge.structures import Frame, Veils

# Kernels read outputs of one decoding if all have the same of these types; NumPy reads any mixture.
_READ_BY_KERNELS = {np.dtype(np.float32), np.dtype(np.float16)}
LOG = logging.getLogger(__name__)
Shape = Tuple[Optional[int], ...]  # without the batch; None = anything


class Outputs:
    """A network of a recipe: its image input, and its outputs by the names of the family.

    Args:
        recipe: recipe of the model.
        runners: opened networks by their names in the recipe.
        known: all output names of the family.
        part: name of the network in the recipe; `main` must be the only network.

    Raises:
        ConfigError: the recipe has no such network, or names outputs that the family does not have.
        DataError: the network lacks the image input.
    """

    def __init__(
        self,
        recipe: Recipe,
        runners: Mapping[str, Runner],
        known: Sequence[str],
        part: str = "main",
    ) -> None:
        alone = part != "main" or len(recipe.networks) == 1
        if not alone or part not in recipe.networks or part not in runners:
            has = ", ".join(recipe.networks) or "none"
            only = " alone" if part == "main" else ""
            raise ConfigError(
                f"networks: {recipe.family} wants [networks.{part}]{only}, got: {has}"
            )
        self.network: Network = recipe.networks[part]
        self.runner: Runner = runners[part]
        self._part = part
        self._names: Dict[str, str] = {}
        self._bars = Bars(self.network)
        self._bad_runs = 0
        self._crops: Optional[Crops] = None  # the GPU code that filled the input, if any
        self._peaks: Tuple[str, str, int] = ("", "", 0)
        self._rows: Dict[str, Rows] = {}
        self._floor = 0.0
        self._check_names(recipe.family, known)

    def _check_names(self, family: str, known: Sequence[str]) -> None:
        for name in self.network.outputs:
            if name not in known:
                raise ConfigError(
                    f"networks.{self._part}.outputs.{name}: {family} knows {', '.join(known)}"
                )
        if self.network.input not in self.runner.inputs:
            there = ", ".join(self.runner.inputs)
            raise DataError(
                f"{self.network.file}: no input {self.network.input!r}; there are: {there}"
            )
        self._check_type(str(self.runner.inputs[self.network.input].dtype))

    def _check_type(self, found: str) -> None:
        """Refuse an input type that differs from the recipe: the network would see noise."""
        declared = self.network.dtype
        if found != declared and (found, declared) != ("float16", "float32"):
            raise DataError(
                f"{self.network.file}: input {self.network.input!r} is {found}, but model.toml "
                f"says {declared}; correct networks.{self._part}.dtype, or export it as float32"
            )

    def graph_name(self, name: str) -> str:
        """The name in the graph of an output of the family."""
        return self.network.outputs.get(name, name)

    def has(self, *names: str) -> bool:
        """Whether the graph has all of these outputs."""
        return all(self.graph_name(n) in self.runner.outputs for n in names)

    def require(self, name: str, shape: Shape) -> Shape:
        """Check that the graph has an output, and let the runner compute it.

        Args:
            name: name of the output in the family.
            shape: expected shape without the batch; None = any size.

        Returns:
            The shape in the graph without the batch; None for a dynamic size.

        Raises:
            DataError: the output is missing or has another shape.
        """
        graph = self.graph_name(name)
        if graph not in self.runner.outputs:
            raise DataError(
                f"{self.network.file}: no output {graph!r}; it gives {self.listing()}; "
                f"say which is {name!r} in [networks.{self._part}.outputs]"
            )
        spec = self.runner.outputs[graph].shape
        found: Shape = tuple(d if d >= 0 else None for d in spec[1:])
        bad = any(w is not None and f is not None and w != f for w, f in zip(shape, found))
        if len(found) != len(shape) or bad:
            wanted = _show(("batch", *shape))
            raise DataError(
                f"{self.network.file}: output {graph!r} is {_show(spec)}, expected {wanted}"
            )
        self._names[name] = graph
        self.runner.want(graph)
        return found

    def want_peaks(self, x: str, y: str, reach: int = 0) -> None:
        """Let a GPU find the maxima of two outputs, if it can; see `run`.

        Args:
            x: output [B,K,Wx] of the family.
            y: output [B,K,Wy] of the family.
            reach: bins on each side of a maximum that are needed too.
        """
        self._peaks = (self.graph_name(x), self.graph_name(y), reach)

    def want_rows(self, rows: Mapping[str, Rows], floor: float) -> None:
        """Let a GPU select the rows of at least a score, if it can; see `run_chosen`.

        Args:
            rows: positions of rows in outputs that were required, by any names.
            floor: least score.
        """
        self._rows = {name: one.renamed(self._names) for name, one in rows.items()}
        self._floor = floor

    def run_chosen(self) -> Optional[Dict[str, Chosen]]:
        """Execute, and let the GPU select the rows of `want_rows`.

        Returns:
            The rows by the names given to `want_rows`; of more than 1024 rows of a frame, the best.
            None if no GPU can select them: then nothing was executed.
        """
        if not self._rows or self._crops is None:
            return None
        if not self._alike(*(n for rows in self._rows.values() for n in rows.outputs)):
            return None
        return self._crops.choose(self._rows, self._floor)

    def _alike(self, *names: str) -> bool:
        """Whether a kernel can read these outputs of the current engine."""
        kinds = {np.dtype(self.runner.outputs[name].dtype) for name in names}
        return len(kinds) == 1 and kinds <= _READ_BY_KERNELS

    def listing(self) -> str:
        """The outputs of the graph and their shapes, for error lines."""
        outputs = self.runner.outputs.items()
        return ", ".join(f"{n} {_show(s.shape)}" for n, s in outputs) or "nothing"

    def feed(self, batch: int) -> np.ndarray:
        """The image input for `batch` samples, to be filled in place."""
        return self.runner.feed(batch)[self.network.input]

    def sample(
        self,
        frames: Sequence[Frame],
        which: np.ndarray,
        matrices: np.ndarray,
        border: int = 0,
        veils: Optional[Veils] = None,
    ) -> None:
        """Fill the image input with crops: on the GPU if the engine runs there, else by OpenCV.

        See `_preprocess.crops.sample` for the arguments. They are borrowed until `run`, because
        some runners cut crops and execute in their own threads meanwhile.
        """
        crops = self._crops = self.runner.crops
        if crops is not None:
            crops.sample(frames, which, matrices, self.network, border, veils)
        else:
            out = self.feed(len(which))

            def fill(start: int, count: int) -> None:
                rows = slice(start, start + count)
                hidden = veils and veils.take(rows)
                preprocess.sample(
                    frames, which[rows], matrices[rows], self.network, out[rows], border, hidden
                )

            if not self.runner.begin(fill):
                fill(0, len(which))

    def letterbox(
        self, frames: Sequence[Frame], border: int = preprocess.PAD, of_cameras: bool = True
    ) -> np.ndarray:
        """Fill the image input with whole frames; see `_preprocess.crops.letterbox`.

        Args:
            frames: borrowed until `run`.
            border: grey value of the bars.
            of_cameras: whether the frames have the shapes of the cameras' own.
        """
        if of_cameras:
            self._bars.note(frames)
        crops = self._crops = self.runner.crops
        if crops is not None:
            return crops.letterbox(frames, self.network, border)
        return preprocess.letterbox(frames, self.network, self.feed(len(frames)), border)

    def begin(self) -> None:
        """Begin to execute what `letterbox` fed, if the runner can; `run` waits for it."""
        if self._crops is None:
            self.runner.begin(_filled)

    def run(self) -> Dict[str, np.ndarray]:
        """Execute.

        Returns:
            The required outputs by the names of the family, borrowed until the next feed. If a GPU
            finds the maxima of `want_peaks`, only these: `bins` [B,K,2] i32, `maxima` [B,K,2] f32
            and `near` [B,K,2,2*reach+1] f32.
        """
        if self._peaks[0] and self._crops is not None and self._alike(*self._peaks[:2]):
            bins, maxima, near = self._crops.peaks(*self._peaks)
            return {"bins": bins, "maxima": maxima, "near": near}
        results = self.runner.run()
        return {name: results[graph] for name, graph in self._names.items()}

    def note_bad(self, count: int) -> None:
        """Log values that are not finite, at the 1st, 10th, 100th ... run that has some."""
        if not count:
            return
        self._bad_runs += 1
        if str(self._bad_runs).strip("0") == "1":
            LOG.warning(
                "%s: ignored %d output values that are not finite (run %d with such values); "
                "the file may be broken, or its precision too low",
                self.network.file,
                count,
                self._bad_runs,
            )


def _filled(start: int, count: int) -> None:
    """The input is full already."""


def _show(shape: Sequence[object]) -> str:
    def word(n: object) -> str:
        return "?" if n is None or (isinstance(n, int) and n < 0) else str(n)

    return "[" + ", ".join(word(n) for n in shape) + "]"


def skeleton_of(recipe: Recipe, keypoints: Optional[int]) -> skeletons.Skeleton:
    """The skeleton of a recipe.

    Args:
        recipe: recipe of the model.
        keypoints: number of keypoints that the network gives; None = unknown.

    Raises:
        ConfigError: the recipe has no skeleton, an unknown one, or one of another size.
    """
    fitting: List[str] = [n for n in skeletons.names() if len(skeletons.get(n)) == keypoints]
    hint = f"; {keypoints} keypoints fit: {', '.join(fitting) or 'none'}" if keypoints else ""
    if not recipe.skeleton:
        raise ConfigError(f"skeleton: is missing{hint}")
    skeleton = skeletons.get(recipe.skeleton)
    if keypoints is not None and len(skeleton) != keypoints:
        raise ConfigError(
            f"skeleton: {recipe.skeleton} has {len(skeleton)} keypoints, "
            f"the network gives {keypoints}{hint}"
        )
    return skeleton
