"""Events of many boxes in one folder: written durably, then acknowledged; later joined into tables.

    FOLDER/landed/day=2026-11-30/device=hall/*.jsonl     a file a batch, complete or absent
    FOLDER/events/day=2026-11-30/device=hall.parquet     joined by `edge-tools fleet compact`
    FOLDER/refused/*.jsonl                               what is no event of a box

The day is that of the event (UTC), so a repeated event always meets its first copy in one folder.
An event is named by its topic, `boot_id` and `seq`.
"""

LANDED, EVENTS, REFUSED = "landed", "events", "refused"
