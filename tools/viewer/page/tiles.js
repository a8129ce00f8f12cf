// The grid of cameras and rooms: one tile for each.

import { paint } from "./paint.js";
import { RoomView } from "./room.js";
import { chip, figures } from "./sayings.js";
import { people, rate, t } from "./words.js";

const QUIET_MS = 3000; // without a frame; then the tile says so
const FADE_MS = 15000; // then old people are no longer shown
const MARK_MS = 8000;
const RATE_MS = 2000;
const STATES = { starting: "wait", ok: "ok", stalled: "bad", failed: "bad", ended: "idle" };

function make(name, attributes = {}, ...inside) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") element.className = value;
    else element.setAttribute(key, value);
  }
  element.append(...inside);
  return element;
}

/** What all tiles share: the newest frame, its rate, and the elements on the page. */
class Tile {
  constructor(key, name, onOpen) {
    this.key = key;
    this.name = name;
    this.device = key.split("/")[0];
    this.frame = this.state = this.status = null;
    this.arrived = 0;
    this.dirty = true;
    this.drawn = [];
    this.shown = {};
    this.canvas = make("canvas", { role: "img" });
    this.open = make("button", { type: "button", class: "open", "aria-pressed": "false" }, name);
    this.back = make("button", { type: "button", class: "back" });
    this.badge = make("span", { class: "badge" });
    this.facts = make("span", { class: "facts" });
    this.chips = make("p", { class: "chips" });
    this.note = make("p", { class: "note" });
    this.more = make("div", { class: "more" });
    this.buttons = make("div", { class: "buttons" });
    const head = make("div", { class: "head" }, this.back, make("h3", {}, this.open), this.badge, this.facts);
    const picture = make("div", { class: "picture" }, this.canvas, this.note, this.buttons);
    this.element = make("article", { class: "tile" }, head, picture, this.chips, this.more);
    for (const button of [this.open, this.back]) button.addEventListener("click", () => onOpen(this.key));
  }

  /** [width, height] of the picture, for the layout. */
  get size() {
    return this.frame?.size ?? (this.state?.size?.[0] ? this.state.size : [16, 9]);
  }

  take(frame, now) {
    if (this.frame && this.frame.boot_id !== frame.boot_id) this.forget();
    this.frame = frame;
    this.arrived = now;
    this.dirty = true;
  }

  forget() {
    this.frame = null;
    this.dirty = true;
  }

  /** Frames drawn a second, over the last RATE_MS. */
  rate(now) {
    while (this.drawn.length && this.drawn[0] < now - RATE_MS) this.drawn.shift();
    return this.drawn.length / (RATE_MS / 1000);
  }

  draw(now) {
    this.dirty = false;
    this.drawn.push(now);
    if (this.drawn.length > 500) this.drawn.shift();
    this.render(now);
  }

  /** Change words on the page only if they differ: a screen reader is told of each change. */
  say(element, text, attribute) {
    const before = attribute ? element.getAttribute(attribute) : element.textContent;
    if (before === text) return;
    if (attribute) element.setAttribute(attribute, text);
    else element.textContent = text;
  }

  /** How the tile is now: [level, words of the badge, words over the picture]. */
  condition(now, live) {
    if (!live) return this.well(); // a recording shows what there was
    if (this.status?.state === "offline") {
      const why = this.status.reason === "stopped" ? t("stopped") : t("lostBox");
      return ["idle", t("offline"), why];
    }
    const state = this.state?.state ?? "ok";
    const detail = this.state?.detail ?? "";
    if (state !== "ok") return [STATES[state] ?? "bad", t(state === "ended" ? "endedState" : state), detail];
    const quiet = this.arrived ? now - this.arrived : 0;
    if (quiet > QUIET_MS) return ["wait", t("stalled"), t("quiet", Math.round(quiet / 1000))];
    return this.well();
  }

  well() {
    const down = this.state?.down ?? 0;
    return down && this.compact ? ["alarm", t("down", down), ""] : ["ok", "", this.blind ? t("blind") : ""];
  }

  /** Bring the words up to date; called once a second and after a change. */
  tell(now, live, fps) {
    const [level, word, note] = this.condition(now, live);
    const well = level === "ok" || level === "alarm";
    const old = !well && this.arrived && now - this.arrived > FADE_MS;
    if (old && this.frame) this.forget();
    this.element.dataset.level = level;
    this.say(this.badge, word);
    this.say(this.note, note);
    const count = this.frame?.people.length ?? 0;
    const seen = this.frame ? people(count) : "";
    this.say(this.facts, [seen, well && fps && !this.compact ? t("fps", rate(fps)) : ""].filter(Boolean).join(" · "));
    this.say(this.canvas, [this.title, word, seen].filter(Boolean).join(", "), "aria-label");
    this.say(this.open, this.title);
    this.say(this.open, t("enlarge", this.title), "title");
    this.say(this.open, String(this.element.classList.contains("solo")), "aria-pressed");
    this.say(this.back, `← ${t("back")}`);
    for (const button of this.buttons.children) this.say(button, t(button.dataset.label), "aria-label");
    for (const button of this.buttons.children) button.title = t(button.dataset.label);
    this.tellRules();
  }

  tellRules() {}
}

/** A camera with what its rules watch. */
export class CameraTile extends Tile {
  constructor(key, onOpen) {
    super(key, key.split("/")[1], onOpen);
    this.marks = new Map();
  }

  get title() {
    return this.manyBoxes ? this.key.replace("/", " · ") : this.name;
  }

  get outlines() {
    return Object.values(this.state?.rules ?? {}).flatMap((rule) => rule.outlines ?? []);
  }

  forget() {
    super.forget();
    this.marks.clear();
  }

  /** Mark the person of a warning or an alarm for a while; of a fall until it is over. */
  mark(event, now) {
    const over = ["recover", "lost"].includes(event.data?.action);
    if (over) this.marks.delete(event.person);
    if (event.person < 0 || over || !["warning", "alarm"].includes(event.level)) return;
    if (this.marks.size > 50) this.marks.clear();
    const until = event.kind === "fall" ? Infinity : now + MARK_MS;
    const word = { fall: "fell", lying: "lying" }[event.kind === "fall" ? event.data?.action : ""] ?? event.level;
    this.marks.set(event.person, { level: event.level, word, until });
  }

  render(now) {
    for (const [person, mark] of this.marks) {
      if (mark.until < now) this.marks.delete(person);
      else mark.text = t(mark.word);
    }
    paint(this.canvas, this.frame, this.size, this.outlines, this.marks);
  }

  tellRules() {
    const rules = Object.entries(this.state?.rules ?? {});
    const words = rules.map(([name, rule]) => [chip(name, rule), rule]).filter(([text]) => text);
    const chips = words.map(([text, rule]) => `${rule.unsure ? "?" : rule.data?.down ? "!" : ""}${text}`);
    const text = JSON.stringify(chips);
    if (this.shown.chips !== text) {
      this.shown.chips = text;
      this.chips.replaceChildren(...words.map(([word, rule]) =>
        make("span", { class: rule.unsure ? "chip unsure" : rule.data?.down ? "chip alarm" : "chip" }, word)));
    }
    if (this.element.classList.contains("solo")) this.tellMore(rules);
  }

  /** All figures of the rules, while the camera is enlarged. */
  tellMore(rules) {
    const rows = rules.map(([name, rule]) => [name, rule.kind, rule.unsure ?? "", figures(rule)]);
    const text = JSON.stringify(rows);
    if (this.shown.more === text) return;
    this.shown.more = text;
    this.more.replaceChildren(...rows.map(([name, kind, unsure, lines]) =>
      make("dl", { class: "rule" }, make("dt", { class: "name" }, name === kind ? name : `${name} (${kind})`),
        ...lines.flatMap(([key, value]) => [make("dt", {}, key), make("dd", {}, value)]),
        ...(unsure ? [make("dd", { class: "unsure", lang: "en" }, unsure)] : []))));
  }
}

/** A room of several calibrated cameras, in metres. */
export class RoomTile extends Tile {
  constructor(key, onOpen) {
    super(key, key.split("/")[2], onOpen);
    this.view = new RoomView(() => { this.dirty = true; });
    this.view.bind(this.canvas);
    this.buttons.append(...this.view.buttons());
    this.element.classList.add("room");
  }

  get title() {
    return t("room", this.manyBoxes ? `${this.device} · ${this.name}` : this.name);
  }

  get size() {
    return [16, 10];
  }

  get blind() {
    return this.frame?.cameras && this.frame.cameras.length < 2;
  }

  render() {
    this.view.draw(this.canvas, this.frame);
  }
}

const numeric = (list, least) => Array.isArray(list) && list.length >= least;

/** Whether a message can be drawn: what a broker delivers need not be ours. */
export function drawable(frame, room) {
  if (!frame || !Array.isArray(frame.people) || typeof frame.skeleton !== "string") return false;
  if (room ? !Array.isArray(frame.cameras) : !numeric(frame.size, 2)) return false;
  return frame.people.every((p) => p && Array.isArray(p.keypoints) && (room || numeric(p.box, 4)));
}

/** Columns and height in px of the pictures, so that as much as possible is seen at once.
 * @param sizes [w, h] of each tile. @param width @param height of the place. @param extra px of a
 *   tile beside its picture. @param gap px between tiles. @param screen height of the window, for a
 *   page that must be scrolled.
 */
export function layout(sizes, width, height, extra, gap, screen) {
  const tallest = Math.max(0.4, ...sizes.map(([w, h]) => h / w));
  const wideOf = (columns) => (width - gap * (columns - 1)) / columns;
  let best = null;
  for (let columns = 1; columns <= sizes.length && (columns === 1 || wideOf(columns) >= 150); columns += 1) {
    const rows = Math.ceil(sizes.length / columns);
    const room = (height - gap * (rows - 1)) / rows - extra;
    const high = Math.floor(Math.min(room, wideOf(columns) * tallest));
    const area = sizes.reduce((sum, [w, h]) => sum + w * h * Math.min(wideOf(columns) / w, high / h) ** 2, 0);
    if (room >= 110 && area > (best?.area ?? 0)) best = { area, columns, high };
  }
  if (best) return best;
  const columns = Math.max(1, Math.min(sizes.length, Math.floor(width / (tallest > 1 ? 175 : 300))));
  return { columns, high: Math.floor(Math.min(wideOf(columns) * tallest, screen * 0.6)) };
}
