// The controls of a recording: play, slider, speed. Parts are fetched as they are needed.

import { clock, number, t } from "./words.js";

const AHEAD = 3; // parts that are fetched before they are needed
const KEEP = 12;
const MARK_S = 8; // an event marks its person for so long
const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];

export class Replay {
  /** @param place of the controls. @param show called with (topic, payload) of what is due.
   * @param jumped called before another moment is shown. */
  constructor(place, show, jumped) {
    [this.place, this.show, this.jumped] = [place, show, jumped];
    this.parts = []; // in order of use, the latest last
    this.fetching = new Map();
    this.at = this.to = this.from = 0;
    this.sent = -1; // messages before this position were shown
    this.playing = true;
    this.speed = 1;
    this.done = false;
    this.when = 0; // ms since 1970 of the last frame
    this.marks = [];
    this.build();
  }

  build() {
    this.button = document.createElement("button");
    this.button.type = "button";
    this.button.className = "play";
    this.button.addEventListener("click", () => this.toggle());
    this.slider = document.createElement("input");
    Object.assign(this.slider, { type: "range", min: "0", max: "0", step: "0.1", value: "0" });
    this.slider.addEventListener("input", () => this.seek(Number(this.slider.value)));
    this.ticks = document.createElement("canvas");
    this.ticks.setAttribute("aria-hidden", "true");
    this.says = document.createElement("output");
    this.choice = document.createElement("select");
    for (const speed of SPEEDS) this.choice.append(new Option(`${speed}×`, String(speed)));
    this.choice.value = "1";
    this.choice.addEventListener("change", () => { this.speed = Number(this.choice.value); });
    const line = document.createElement("div");
    line.className = "line";
    line.append(this.slider, this.ticks);
    this.place.replaceChildren(this.button, line, this.says, this.choice);
    this.place.hidden = false;
  }

  /** Words in the language in use. */
  refresh() {
    this.button.textContent = this.playing ? `❚❚ ${t("stop")}` : `▶ ${t("play")}`;
    this.slider.setAttribute("aria-label", t("position"));
    this.choice.setAttribute("aria-label", t("speed"));
    this.place.setAttribute("aria-label", t("recording"));
    this.tell();
  }

  /** What the server says of how much is read. */
  take({ to_s, done, share }) {
    [this.to, this.done, this.share] = [to_s, done, share];
    this.slider.max = String(to_s);
    this.drawTicks();
    this.tell();
  }

  mark(event) {
    if (this.marks.length < 5000) this.marks.push(event);
    this.drawTicks();
  }

  toggle() {
    if (!this.playing && this.at >= this.to - 0.05) this.seek(0);
    this.playing = !this.playing;
    this.refresh();
  }

  /** Show another moment. */
  seek(at) {
    this.at = Math.min(Math.max(0, at), this.to);
    this.sent = -1;
    this.tell();
  }

  /** Move on by `ms` of the screen's time and show what is due. */
  step(ms) {
    const part = this.part(this.at);
    if (!part) return; // it is on its way
    if (this.playing && this.sent >= 0) this.at += Math.min(ms, 250) * 0.001 * this.speed;
    if (this.at >= this.to && this.playing) {
      this.at = this.to;
      if (this.done) this.toggle();
    }
    this.deliver();
    for (let i = 0, next = part; next && !next.last && i < AHEAD; i += 1) next = this.part(next.to);
    this.tell();
  }

  deliver() {
    if (this.sent < 0) this.jumped();
    const since = this.sent < 0 ? this.at - MARK_S : this.sent;
    for (const event of this.marks) {
      if (event.at_s > since && event.at_s <= this.at) this.show("event", event);
    }
    for (const part of [...this.parts].sort((a, b) => a.from - b.from)) {
      if (part.from > this.at || (part.to <= this.sent && this.sent >= 0)) continue;
      if (this.sent < 0 && part !== this.found(this.at)) continue;
      for (const [at, topic, payload] of part.messages) {
        if (at > this.at || (at <= this.sent && this.sent >= 0)) continue;
        if (topic.endsWith("/frame")) this.when = Number(payload.t_utc_ns) / 1e6;
        this.show(topic, payload);
      }
    }
    this.sent = this.at;
    this.place.dataset.shown = this.at.toFixed(2); // the position that is on the screen
  }

  found(at) {
    return this.parts.find((part) => part.from <= at && at < part.to);
  }

  /** The part with a position, or null; then it is fetched. */
  part(at) {
    const found = this.found(at) ?? (at >= this.to ? this.parts.find((p) => p.last && p.from <= at) : null);
    if (found) {
      this.parts.push(...this.parts.splice(this.parts.indexOf(found), 1));
      return found;
    }
    const key = at.toFixed(2);
    if (this.fetching.size < 2 && !this.fetching.has(key)) {
      this.fetching.set(key, this.fetch(at).finally(() => this.fetching.delete(key)));
    }
    return null;
  }

  async fetch(at) {
    const answer = await fetch(`replay?at=${at.toFixed(3)}`).catch(() => null);
    if (!answer?.ok) return;
    const part = await answer.json();
    this.parts = this.parts.filter((other) => other.from !== part.from);
    if (part.to > part.from) this.parts.push(part);
    while (this.parts.length > KEEP) this.parts.shift();
  }

  tell() {
    if (document.activeElement !== this.slider || this.playing) this.slider.value = String(this.at);
    const where = t("of", minutes(this.at), minutes(this.to));
    const when = this.when ? `${clock(this.when)}  ` : "";
    const reading = this.done === false && this.share < 1 ? `  ${t("reading", number(this.share * 100))}` : "";
    const text = `${when}${where}${reading}`;
    if (this.says.textContent !== text) this.says.textContent = text;
    this.slider.setAttribute("aria-valuetext", `${when}${where}`);
  }

  drawTicks() {
    const [w, h] = [this.ticks.clientWidth, this.ticks.clientHeight];
    [this.ticks.width, this.ticks.height] = [w, h];
    const pen = this.ticks.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    for (const level of ["info", "warning", "alarm"]) {
      pen.fillStyle = style.getPropertyValue(level === "info" ? "--dim" : `--${level}`);
      for (const mark of this.marks) {
        if ((mark.level ?? "info") !== level || !this.to) continue;
        pen.fillRect(8 + (mark.at_s / this.to) * (w - 17), level === "info" ? 2 : 0, 2, h);
      }
    }
  }
}

function minutes(s) {
  const whole = Math.floor(s);
  const pad = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  return `${hours ? `${hours}:` : ""}${hours ? pad(Math.floor(whole / 60) % 60) : Math.floor(whole / 60)}:${pad(whole % 60)}`;
}
