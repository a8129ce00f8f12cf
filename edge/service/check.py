"""`edge check`: finds what is wrong with a configuration before a run."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

from edge import capture, plug, publish, skeletons
from edge.errors import ConfigError, EdgeError, NoInputError
from edge.loop.assemble import build_rules, check_roles, models_dir
from edge.loop.lenses import build_lenses
from edge.loop.scenes import rig_of
from edge.models import Gives
from edge.recipe import load_recipe
from edge.rules import build_rule
from edge.service import extras
from edge.settings import config, templates
from edge.settings.config import Config


def check(path: Path) -> Config:
    """Load a configuration and check everything it names, without opening any of it.

    Raises:
        NoInputError: there is no such file. ConfigError: the first mistake.
    """
    settings = config.load(path)
    try:
        look_up(settings)
    except EdgeError as error:
        raise ConfigError(f"{path}: {error}") from error
    return settings


def look_up(settings: Config) -> None:
    """Check everything a configuration names, without opening any of it.

    Raises:
        EdgeError: the first mistake.
    """
    for i, camera in enumerate(settings.cameras):
        try:
            capture.kind(camera.source)
        except ConfigError as error:
            raise ConfigError(f"cameras[{i}].source: {error}") from error
    options = publish.SinkOptions(
        mqtt=settings.mqtt, webhook=settings.webhook, outbox=settings.outbox
    )
    build_lenses(settings)
    publish.parse_all(settings.publish.sinks, options)
    _check_rules(settings)
    target = settings.pose.skeleton
    if target and target not in skeletons.names():
        raise ConfigError(f"pose.skeleton: no skeleton {target!r}; use {skeletons.names()}")
    for i, scene in enumerate(settings.scenes):
        rig_of(scene, f"scenes[{i}]")
    extras.check(settings)
    _check_models(settings)


def _check_rules(settings: Config) -> None:
    """Build the rules of each camera; without cameras those that need no camera."""
    for camera in settings.cameras:
        build_rules(settings, camera.name)
    for i, table in enumerate(settings.rules):
        if not (settings.cameras and table.get("cameras", settings.cameras)):
            build_rule(templates.resolved(table, f"rules[{i}]"), f"rules[{i}]")


def _check_models(settings: Config) -> None:
    folder = models_dir(settings)
    gives: Dict[str, Gives] = {}
    for key, name in (("detect", settings.detect.model), ("pose", settings.pose.model)):
        if name == "none":
            gives[key] = Gives.BOXES
            continue
        try:
            recipe = load_recipe(folder / name)
        except NoInputError as error:
            raise ConfigError(f"{key}.model: {error}") from error
        if recipe.family not in plug.names("models"):
            raise ConfigError(f"{key}.model: {name!r} is of an unknown family {recipe.family!r}")
        gives[key] = plug.load("models", recipe.family).GIVES
    check_roles(settings, gives["detect"], gives["pose"])
