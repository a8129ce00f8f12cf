"""The rule `action`: repetitions of an exercise, counted, timed and scored against a template.

Repetitions are found live, at another speed and on the other side, too. Templates of squat, lunge,
jumping_jack, push_up and basketball_shot are shipped; `edge-tools template` makes others. The
shipped ones come from joint-angle scripts, not from a coach.

What is compared is how far each limb reaches downwards (edge.rules._action.features). That hardly
depends on the side that the person is seen from; a camera looking down steeply falsifies it.

Event data: `action` repetition | set; `session`; `exercise`. Of a repetition:
`repetition`, its number for this person; `score`, 0..100; `duration_s`; `tempo`, the template's
duration over it; `mirrored`, done with the other side; `faults`, each `{limb, phase, deg}` with
deg > 0 for too high or leaning too far; `ended_s`, how long ago it ended. Of a set: `set`, `sets`
and `plan_done`.
"""

from __future__ import annotations

from edge.errors import ConfigError
from edge.rules import Rule
from edge.rules._action.options import Options as Options
from edge.rules._action.template import of_table
from edge.rules._action.watch import Watch


def build(options: Options) -> Rule:
    """The rule of one camera.

    Raises:
        ConfigError: the template is wrong.
    """
    try:
        return Watch(options, of_table(options.template))
    except ConfigError as error:
        raise ConfigError(f"template: {error}") from error
