// The health of each box, from its status and metrics.

import { number, rate, span, t } from "./words.js";

const total = (table) => Object.values(table ?? {}).reduce((a, b) => a + (Number(b) || 0), 0);

/** Rows [name, value, bad] of what a box says of itself. */
function rows(status, metrics) {
  const found = [];
  const add = (key, value, bad = false) => value !== undefined && found.push([t(key), value, bad]);
  if (metrics) {
    const rates = Object.values(metrics.fps ?? {});
    add("framerate", rates.length ? t("fps", rates.map(rate).join(" · ")) : t("none"));
    const p95 = metrics.latency_ms?.p95;
    add("latency", p95 === undefined ? t("none") : `${number(p95)} ms`);
    const degrees = Object.values(metrics.temperatures_c ?? {});
    if (degrees.length) add("temperature", `${number(Math.max(...degrees))} °C`);
    if (metrics.memory_mb !== undefined) add("memory", `${number(metrics.memory_mb)} MB`);
    if (metrics.power_mw?.total) add("power", `${number(metrics.power_mw.total / 1000, 1)} W`);
    add("dropped", number(total(metrics.dropped)));
    if (metrics.uptime_s !== undefined) add("uptime", span(metrics.uptime_s));
    if (metrics.throttled?.length) add("throttled", metrics.throttled.join(", "), true);
    for (const sink of metrics.sinks ?? []) {
      if (!sink.ok) add("sinkDown", sink.name, true);
      if (sink.waiting > 20) add("waitingEvents", number(sink.waiting), true);
    }
  }
  const degrade = metrics?.degrade ?? status?.degrade;
  if (degrade?.level) add("degraded", `${degrade.level}/${degrade.levels}: ${degrade.why}`, true);
  if (status?.version) add("version", status.version);
  return found;
}

function cell(name, text, bad) {
  const element = document.createElement(name);
  element.textContent = text;
  if (bad) element.className = "bad";
  return element;
}

/** One card for each box; it changes only if a word does. */
export class Boxes {
  constructor(place) {
    this.place = place;
    this.cards = new Map();
  }

  /** @param boxes Map of name to {status, metrics}. */
  tell(boxes) {
    for (const [name, card] of this.cards) {
      if (boxes.has(name)) continue;
      card.element.remove();
      this.cards.delete(name);
    }
    for (const name of [...boxes.keys()].sort()) this.card(name, boxes.get(name));
  }

  card(name, { status, metrics }) {
    let card = this.cards.get(name);
    if (!card) {
      card = { element: document.createElement("article"), said: "" };
      this.cards.set(name, card);
      this.place.append(card.element);
    }
    const online = status ? status.state === "online" : true;
    const word = !status ? "" : online ? t("online") : t("offline");
    const lines = rows(status, online ? metrics : null);
    const said = JSON.stringify([word, lines]);
    if (card.said === said) return;
    card.said = said;
    const title = document.createElement("h3");
    title.append(name, " ");
    title.append(cell("span", word));
    const list = document.createElement("dl");
    for (const [key, value, bad] of lines) list.append(cell("dt", key, bad), cell("dd", value, bad));
    card.element.dataset.online = String(online);
    card.element.replaceChildren(title, ...(lines.length ? [list] : []));
  }
}
