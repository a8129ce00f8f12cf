"""`edge-tools federated-trial`: four rendered sites train, share and average; bars on held-out OKS.

Each step is a command that a site or a server would run. A step that is done is not done again, so
a trial that was killed goes on with the same command.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence

from edge.durable import READABLE, write_whole
from edge.errors import ConfigError, TempError
from edge.keys.trust import load_key
from tools.__main__ import main
from tools.federated import model
from tools.federated.averaging import METHODS
from tools.federated.file import read, write
from tools.federated.trial import bars, poison
from tools.federated.trial.sites import HELD_OUT, PARTS, SITES, public, recordings, rooms
from tools.fetch.by_name import ensure_model
from tools.signing import load_secret
from tools.training.data.sources import open_all

HELP = "four rendered sites learn without sharing pictures; bars against pooled training"
REFUSED = 1
BASE = "blazepose"
NAMES = [site.name for site in SITES]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    out = Path("out/federated-trial")
    parser.add_argument("--out", type=Path, default=out, help="folder (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="(%(default)s)")
    parser.add_argument(
        "--steps", type=int, default=60, metavar="N", help="of a site in a round (%(default)s)"
    )
    parser.add_argument(
        "--rate", type=float, default=4e-5, metavar="X", help="of learning (%(default)g)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    """Do what is not done yet, and judge; the exit code is 1 if a bar fails."""
    if not 1 <= arguments.rounds <= 20 or not 1 <= arguments.steps <= 10_000:
        raise ConfigError("--rounds: must be 1 to 20; --steps: 1 to 10000")
    if not 0 < arguments.rate < 1:
        raise ConfigError("--rate: must be above 0 and below 1")
    trial = Trial(arguments)
    trial.draw()
    for number in range(1, arguments.rounds + 1):
        trial.round(number)
    trial.references()
    trial.poisoned()
    result = trial.judge()
    write_whole(arguments.out / "result.json", json.dumps(result, indent=1).encode(), READABLE)
    write_whole(arguments.out / "page.html", bars.page(result).encode(), READABLE)
    print(json.dumps(result) if arguments.json else bars.text(result))
    if not arguments.json:
        print(f"page: {arguments.out / 'page.html'}")
    return 0 if all(holds for _, holds, _ in result["bars"]) else REFUSED


class Trial:
    """A trial and its folder."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.out: Path = arguments.out
        self.steps, self.rate, self.rounds = arguments.steps, arguments.rate, arguments.rounds
        self.models, self.keys = self.out / "engines", self.out / "keys"
        self.quiet: bool = arguments.json
        self.keys.mkdir(parents=True, exist_ok=True)
        if not (self.models / BASE / "model.toml").is_file():
            shutil.copytree(ensure_model(BASE, quiet=True), self.models / BASE, dirs_exist_ok=True)
        settings = {"rounds": self.rounds, "steps": self.steps, "rate": self.rate}
        told = self.out / "settings.json"
        if told.is_file() and json.loads(told.read_text("utf-8")) != settings:
            raise ConfigError(f"{self.out}: has a trial with other options; name another --out")
        told.write_text(json.dumps(settings), "utf-8")

    def step(self, done: Path, what: str, *words: Any, fine: Sequence[int] = (0,)) -> None:
        """Run a command unless its result is there."""
        if done.exists():
            return
        if not self.quiet:
            print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)
        log = self.out / "log.txt"
        with log.open("a", encoding="utf-8") as out, contextlib.redirect_stdout(out):
            code = main([str(word) for word in words])
        if code not in fine:
            raise TempError(f"{what}: exit code {code}; see {self.out / 'log.txt'}")

    def draw(self) -> None:
        """Rooms, people of no site, and each site's recordings and key."""
        empty = self.out / "rooms"
        self.step(empty / "synth.json", "empty rooms", *rooms(str(empty)))
        for seed, name in ((200, "hold"), (300, "reference")):
            folder = self.out / name
            self.step(
                folder / "synth.json", f"people of no site: {name}", *public(seed, str(folder))
            )
        for number, site in enumerate(SITES):
            room = str(empty / "images" / f"{number:06d}.jpg")
            for part in PARTS:
                folder = self.out / site.name / part
                words = recordings(number, part, room, str(folder))
                self.step(folder / "synth.json", f"{site.name}: recordings to {part}", *words)
        for name in [*NAMES, "evil"]:
            self.step(self.keys / f"{name}.pub", f"{name}: key", "keygen", self.keys / name)

    def train(
        self, name: str, sites: Sequence[str], base: str, steps: int, *more: Any, seed: int = 1
    ) -> None:
        """Fine-tune the head of a model on recordings of sites."""
        folders = [self.out / site / "train" for site in sites]
        words = ["train", *folders, "--name", name, "--model", base, "--models", self.models]
        words += ["--out", self.out / "runs" / name, "--only-head", "--threads", 1, "--seed", seed]
        words += ["--hold-out", *HELD_OUT, "--hold", self.out / "hold"]
        words += ["--reference", self.out / "reference", "--steps", steps, "--rate", self.rate]
        done = self.models / name
        self.step(done, f"train {name}, {steps} steps", *words, *more, "--json", fine=(0, REFUSED))
        if not done.exists():
            # The site would not use it alone. It shares it all the same: the server judges.
            new = self.models / f".{name}.new"
            shutil.rmtree(new, ignore_errors=True)
            shutil.copytree(self.out / "runs" / name / "model", new)
            new.rename(done)

    def round(self, number: int) -> None:
        """All sites train and share; the server averages."""
        base = self.base_of(number)
        files = []
        for site in NAMES:
            name = f"{site}-{number}"
            self.train(name, [site], base, self.steps, seed=number)  # other batches each round
            files.append(self.share(name, site, base, self.out / f"round-{number}"))
        # Only plain averages are gone on from; the others are compared at the end.
        for method in METHODS if number == self.rounds else METHODS[:1]:
            name = f"{method}-{number}"
            self.average(name, files, base, "--method", method)

    def base_of(self, number: int) -> str:
        """What a round begins with."""
        return BASE if number == 1 else f"mean-{number - 1}"

    def share(self, name: str, site: str, base: str, folder: Path) -> Path:
        """Write a site's parameter file."""
        folder.mkdir(exist_ok=True)
        file = folder / f"{site}.params"
        words = ["share", name, "--base", base, "--models", self.models, "--site", site]
        self.step(file, f"{site}: share", *words, "--key", self.keys / f"{site}.key", "--out", file)
        return file

    def average(self, name: str, files: Sequence[Path], base: str, *more: Any) -> Path:
        """Average parameter files; returns the file that tells who was used."""
        told = self.out / "averages" / f"{name}.json"
        told.parent.mkdir(exist_ok=True)
        words = ["average", *files, "--name", name, "--base", base, "--models", self.models]
        words += ["--keys", self.keys, "--reference", self.out / "reference", *more]
        if not told.is_file():
            log = self.out / "log.txt"
            at = log.stat().st_size if log.is_file() else 0
            self.step(told, f"average {name}", *words, "--force", "--json")
            with log.open(encoding="utf-8") as lines:
                lines.seek(at)
                found = [line for line in lines if line.startswith("{")][-1]
            write_whole(told, found.encode(), READABLE)
        return told

    def references(self) -> None:
        """What the average is compared with: each site alone, and all pictures in one place."""
        steps = self.rounds * self.steps
        if self.rounds > 1:
            for site in NAMES:
                self.train(f"alone-{site}", [site], BASE, steps)
        self.train("pooled", NAMES, BASE, steps * len(NAMES))

    def poisoned(self) -> None:
        """A fifth site that labels left as right, and one that sends noise, short and long."""
        first = self.out / "round-1"
        files = sorted(first.glob("*.params"))
        if not (self.out / "evil" / "train").exists():
            (self.out / "evil").mkdir(exist_ok=True)
            poison.swap_labels(self.out / NAMES[0] / "train", self.out / "evil" / "train")
        self.train("evil", ["evil"], BASE, self.steps, "--most-lost", 1)
        swapped = self.share("evil", "evil", BASE, self.out / "poison-swapped")
        self.average("with-swapped", [*files, swapped], BASE)
        for name, times in (("noise", 1.0), ("loud", 10.0)):
            folder = self.out / f"poison-{name}"
            folder.mkdir(exist_ok=True)
            honest = read(files[0], load_key(self.keys / f"{files[0].stem}.pub"))
            bad = poison.noise_like(honest, times, 1)
            write(folder / "evil.params", bad, load_secret(self.keys / "evil.key"))
            self.average(f"with-{name}", [*files, folder / "evil.params"], BASE)

    def judge(self) -> Dict[str, Any]:
        """Look at the held-out recordings once, and compare."""
        table = self._table()
        return {
            "sites": NAMES,
            "oks": table,
            "bars": bars.bars(table, NAMES) + self._poison_bars(table),
            "uploads": self._uploads(),
            "looks": self._looks(),
            "note": f"{self.rounds} round(s) of {self.steps} steps a site, rate {self.rate:g}, "
            "the head only. Rendered people. OKS of body and feet of held-out recordings: other "
            "bodies, motions and random numbers, the same cameras and rooms.",
        }

    def _table(self) -> Dict[str, Dict[str, float]]:
        last = self.rounds
        alone = {s: f"alone-{s}" if last > 1 else f"{s}-1" for s in NAMES}
        chosen = {bars.BASE: BASE, **{f"alone-{s}": folder for s, folder in alone.items()}}
        chosen.update({bars.MEAN: f"mean-{last}", "median": f"median-{last}"})
        chosen.update({"trimmed": f"trimmed-{last}", bars.POOLED: "pooled"})
        for name in ("with-swapped", "with-noise", "with-loud"):
            if self._told(name)["used"][-1:] == ["evil"]:
                chosen[name] = name
        truths = open_all([self.out / site / "report" for site in NAMES])
        found = {}
        for name, folder in chosen.items():
            values = model.oks_of(self.models / folder, truths, name, self.quiet)
            found[name] = dict(zip(NAMES, values))
        return found

    def _told(self, name: str) -> Dict[str, Any]:
        return dict(json.loads((self.out / "averages" / f"{name}.json").read_text("utf-8")))

    def _poison_bars(self, table: Dict[str, Dict[str, float]]) -> List[Any]:
        """A poisoned site is refused, or the average with it is no worse than the base anywhere."""
        found = []
        for name in ("swapped", "noise", "loud"):
            told = self._told(f"with-{name}")
            row = table.get(f"with-{name}")
            why = "; ".join(f"{site} {reason}" for site, reason in told["refused"])
            holds = row is None or all(row[s] >= table[bars.BASE][s] for s in NAMES)
            text = why if row is None else "not refused; OKS with it is in the table"
            found.append((f"a poisoned site ({name}) is refused or has no effect", holds, text))
        return found

    def _uploads(self) -> List[str]:
        lines = []
        for number in range(1, self.rounds + 1):
            for file in sorted((self.out / f"round-{number}").glob("*.params")):
                moved = read(file, load_key(self.keys / f"{file.stem}.pub"))
                told = bars.upload(file.stat().st_size, len(moved.moved))
                lines.append(f"round {number}, {file.stem}: {told}")
        return lines

    def _looks(self) -> int:
        """How often this folder's held-out recordings were looked at, with this one."""
        with (self.out / "looks.txt").open("a", encoding="utf-8") as looks:
            looks.write(time.strftime("%Y-%m-%d %H:%M:%S\n"))
        return len((self.out / "looks.txt").read_text("utf-8").splitlines())
