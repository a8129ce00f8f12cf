// The list of events: newest first, each a button that leads to its camera or moment.

import { sentence } from "./sayings.js";
import { clock, t } from "./words.js";

const KEEP = 200;
const SIGNS = { info: "●", warning: "▲", alarm: "◆" };
const RANK = { info: 0, warning: 1, alarm: 2 };

/** @param list `ol`. @param alarm element whose text a screen reader says at once.
 * @param go called with an event that was chosen. */
export class EventList {
  constructor(list, alarm, go) {
    [this.list, this.alarm, this.go] = [list, alarm, go];
    this.least = "info";
    this.manyBoxes = false;
    this.keep = KEEP;
    this.events = []; // newest first
    this.seen = new Set();
  }

  /** Add an event, in order of its time; returns whether it is new. */
  add(event, topic, fresh) {
    const key = `${topic} ${event.boot_id} ${event.seq}`;
    if (this.seen.has(key)) return false;
    this.seen.add(key);
    const ms = Number(event.t_utc_ns) / 1e6;
    const record = { ...event, key, ms, level: RANK[event.level] === undefined ? "info" : event.level };
    const at = this.events.findIndex((other) => other.ms <= ms);
    const place = at < 0 ? this.events.length : at;
    if (place >= this.keep) return false;
    this.events.splice(place, 0, record);
    this.put(record);
    while (this.events.length > this.keep) this.drop(this.events.pop());
    if (fresh && record.level === "alarm" && !record.historical) {
      this.alarm.textContent = `${t("alarm")}: ${event.camera}, ${sentence(record)}`;
    }
    return true;
  }

  drop(record) {
    record.item?.remove();
    this.seen.delete(record.key);
  }

  shown(record) {
    return RANK[record.level] >= RANK[this.least];
  }

  put(record) {
    if (!this.shown(record)) return;
    record.item = this.item(record);
    const before = this.events.slice(this.events.indexOf(record) + 1).find((other) => other.item);
    this.list.insertBefore(record.item, before?.item ?? null);
  }

  item(record) {
    const item = document.createElement("li");
    item.className = record.level;
    const button = document.createElement("button");
    button.type = "button";
    const part = (name, text) => {
      const span = document.createElement("span");
      [span.className, span.textContent] = [name, text];
      button.append(span, " ");
      return span;
    };
    part("sign", SIGNS[record.level]).setAttribute("aria-hidden", "true");
    part("when", clock(record.ms));
    part("what", sentence(record));
    if (record.level !== "info") part("level", t(record.level));
    if (record.historical) part("level", t("late"));
    const where = part("where", this.manyBoxes ? `${record.device} · ${record.camera}` : record.camera);
    if (record.why) {
      const why = document.createElement("span");
      [why.lang, why.textContent] = ["en", record.why];
      where.append(" · ", why);
    }
    button.addEventListener("click", () => this.go(record));
    item.append(button);
    return item;
  }

  /** Write the list again, after the language or the least level has changed. */
  refresh(least = this.least) {
    this.least = least;
    for (const record of this.events) {
      record.item?.remove();
      record.item = null;
    }
    for (const record of this.events) {
      if (!this.shown(record)) continue;
      record.item = this.item(record);
      this.list.append(record.item);
    }
  }
}
