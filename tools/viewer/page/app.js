// The page: one stream of messages in, tiles, events and health out.

import { Boxes } from "./boxes.js";
import { EventList } from "./events.js";
import { loadSkeletons, readColours } from "./paint.js";
import { Replay } from "./replay.js";
import { sideBySide } from "./room.js";
import { CameraTile, RoomTile, drawable, layout } from "./tiles.js";
import { LANGUAGES, choose, language, locale, preferred, store, stored, t } from "./words.js";

const $ = (id) => document.getElementById(id);
const HIDDEN_MS = 10000; // a page in the background gives its connection back after this time
const GAP_PX = 12;

const tiles = new Map();
const boxes = new Map(); // name -> {status, metrics}
const figures = { messages: 0, unreadable: 0, gaps: 0, delays_ms: [] };
const events = new EventList($("events"), $("alarm"), goTo);
const cards = new Boxes($("boxes"));
let hello = { mode: "live", source: "" };
let link = { up: false, why: "" };
let connected = false;
let stream = null;
let replay = null;
let held = false; // the reader has paused the pictures
let solo = "";
let chosenBox = "";
let busy = true; // something other than a frame has changed
let laidOut = "";
let before = performance.now();

const live = () => hello.mode === "live";

// ---------------------------------------------------------------- messages

function take(topic, record) {
  figures.messages += 1;
  if (topic === "hello") return sayHello(record);
  if (topic === "link") return sayLink(record);
  if (topic === "replay") return replay?.take(record) ?? sayNote(record);
  const levels = topic.split("/").slice(2);
  if (levels[1] === "scene" && levels[3] === "frame") return takeFrame(topic, `${levels[0]}/room/${levels[2]}`, record, true);
  if (levels[2] === "frame") return takeFrame(topic, `${levels[0]}/${levels[1]}`, record, false);
  if (levels[2] === "event") return takeEvent(topic, record);
  busy = true;
  if (levels[2] === "state") return takeState(`${levels[0]}/${levels[1]}`, record);
  if (levels[1] === "status" || levels[1] === "metrics") return takeBox(levels[0], levels[1], record);
  return undefined;
}

function tileOf(key, room) {
  let tile = tiles.get(key);
  if (!tile) {
    tile = room ? new RoomTile(key, open) : new CameraTile(key, open);
    tiles.set(key, tile);
    tile.status = boxes.get(tile.device)?.status ?? null;
    const others = [...tiles.keys()].filter((other) => other > key && tiles.get(other) instanceof RoomTile === room);
    $(room ? "rooms" : "grid").insertBefore(tile.element, tiles.get(others.sort()[0])?.element ?? null);
    busy = true;
  }
  return tile;
}

function takeFrame(topic, key, frame, room) {
  if (frame === null) return;
  if (!drawable(frame, room)) {
    figures.unreadable += 1;
    return;
  }
  const tile = tileOf(key, room);
  if (live()) {
    if (tile.frame?.boot_id === frame.boot_id && frame.seq < tile.frame.seq) return;
    figures.delays_ms.push(Date.now() - Number(frame.t_utc_ns) / 1e6);
    if (figures.delays_ms.length > 2000) figures.delays_ms.shift();
  }
  if (held && live()) return;
  tile.take(frame, performance.now());
  const inMetres = room ? null : sideBySide(frame);
  if (inMetres) tileOf(`${tile.device}/world/${tile.name}`, true).take(inMetres, performance.now());
}

function takeState(key, state) {
  if (state === null) return remove(key);
  const tile = tileOf(key, false);
  tile.state = state;
  tile.dirty = true;
  return undefined;
}

function remove(key) {
  tiles.get(key)?.element.remove();
  tiles.delete(key);
  if (solo === key) open("");
  busy = true;
}

function takeBox(name, kind, record) {
  const box = boxes.get(name) ?? {};
  box[kind] = record;
  boxes.set(name, box);
  if (kind !== "status") return;
  if (record === null) {
    boxes.delete(name);
    for (const tile of [...tiles.values()]) if (tile.device === name) remove(tile.key);
    return;
  }
  const gone = Array.isArray(record.cameras) ? new Set(record.cameras) : null;
  for (const tile of [...tiles.values()]) {
    if (tile.device !== name) continue;
    tile.status = record;
    tile.dirty = true;
    const camera = tile instanceof CameraTile || tile.key.split("/")[1] === "world";
    if (gone && camera && !gone.has(tile.name)) remove(tile.key);
  }
}

function takeEvent(topic, event) {
  if (!event || !event.kind) return;
  if (events.add(event, topic, live() && performance.now() > 3000)) {
    if (live()) tiles.get(`${event.device}/${event.camera}`)?.mark(event, performance.now());
    else replay?.mark(event);
  }
  busy = true;
}

function sayHello(record) {
  if (hello.source && hello.mode !== record.mode) return location.reload(); // `demo --view` has ended
  hello = record;
  if (record.mode === "replay" && !replay) {
    events.keep = 5000;
    replay = new Replay($("transport"), showRecorded, () => tiles.forEach((tile) => tile.forget()));
    $("pause").hidden = true;
    document.body.classList.add("replay");
  }
  refresh();
  return undefined;
}

function showRecorded(topic, payload) {
  if (topic === "event") tiles.get(`${payload.device}/${payload.camera}`)?.mark(payload, performance.now());
  else take(topic, payload);
}

function sayLink(record) {
  link = record;
  busy = true;
}

let note = "";
function sayNote({ problem, notes }) {
  note = problem ? t("partial", problem) : (notes ?? []).join("\n");
  busy = true;
}

// ---------------------------------------------------------------- the stream

function connect() {
  if (stream) return;
  stream = new EventSource("stream");
  stream.onopen = () => { connected = true; busy = true; };
  stream.onerror = () => {
    connected = false;
    busy = true;
    if (stream?.readyState === EventSource.CLOSED) { // it was refused: ask again later
      disconnect();
      setTimeout(connect, 3000);
    }
  };
  stream.onmessage = ({ data }) => {
    const space = data.indexOf(" ");
    try {
      take(data.slice(0, space), JSON.parse(data.slice(space + 1)));
    } catch (error) {
      figures.unreadable += 1;
      if (figures.unreadable === 1) console.warn("a message could not be read", error);
    }
  };
}

function disconnect() {
  stream?.close();
  stream = null;
}

// A browser allows six connections to one server, so a page that nobody sees lets its own go.
let hiding = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(disconnect, HIDDEN_MS);
  else connect();
});

// ---------------------------------------------------------------- the page

function visible() {
  return [...tiles.values()].filter((tile) => (!chosenBox || tile.device === chosenBox) && (!solo || tile.key === solo));
}

function open(key) {
  const from = solo;
  solo = solo === key ? "" : key;
  for (const tile of tiles.values()) tile.element.classList.toggle("solo", tile.key === solo);
  busy = true;
  tiles.get(solo || from)?.open.focus();
}

function goTo(event) {
  if (replay) {
    replay.seek(event.at_s - 1);
    return;
  }
  const key = `${event.device}/${event.camera}`;
  if (tiles.has(key) && solo !== key) open(key);
}

addEventListener("keydown", (e) => {
  if (e.key === "Escape" && solo) open("");
});

function arrange() {
  const shown = visible();
  const names = new Set([...tiles.values()].map((tile) => tile.device));
  if (events.manyBoxes !== names.size > 1) {
    events.manyBoxes = names.size > 1;
    events.refresh();
  }
  const cameras = shown.filter((tile) => tile instanceof CameraTile);
  const compact = cameras.length > 8;
  for (const tile of tiles.values()) {
    tile.manyBoxes = names.size > 1;
    tile.compact = compact;
    tile.element.hidden = !shown.includes(tile);
  }
  document.body.classList.toggle("compact", compact);
  place(cameras, shown.length - cameras.length, compact);
}

/** Give the pictures their columns and heights; rooms stand below the cameras. */
function place(cameras, rooms, compact) {
  const narrow = innerWidth < 900;
  const height = narrow ? 0 : $("stage").clientHeight - $("foot").offsetHeight - $("transport").offsetHeight - 46;
  const width = $("grid").clientWidth || $("rooms").clientWidth;
  const chips = !compact && cameras.some((tile) => tile.chips.childNodes.length);
  const extra = (chips ? 80 : 48) + (solo ? 90 : 0);
  const sizes = cameras.map((tile) => tile.size);
  const text = JSON.stringify([sizes, rooms, width, height, innerHeight, extra]);
  if (text === laidOut || cameras.length + rooms === 0) return;
  laidOut = text;
  const share = !rooms || cameras.length > 8 ? 1 : cameras.length > 4 ? 0.7 : 0.6;
  const found = layout(sizes, width, height * share - (rooms ? GAP_PX : 0), extra, GAP_PX, innerHeight);
  const rows = Math.ceil(cameras.length / found.columns);
  const left = height - rows * (found.high + extra + GAP_PX) - 48;
  $("stage").style.setProperty("--columns", found.columns);
  $("stage").style.setProperty("--rooms", narrow ? 1 : Math.min(3, rooms) || 1);
  $("stage").style.setProperty("--high", `${found.high}px`);
  $("stage").style.setProperty("--room-high", `${Math.max(240, Math.floor(left))}px`);
  tiles.forEach((tile) => { tile.dirty = true; });
}

function tellBoxes() {
  cards.tell(boxes);
  $("boxes-panel").hidden = Boolean(replay) && !boxes.size; // a recording of poses has none
  const names = [...new Set([...tiles.values()].map((tile) => tile.device))].sort();
  const select = $("device");
  $("device-choice").hidden = names.length < 2;
  const wanted = JSON.stringify([names, language()]);
  if (select.dataset.names !== wanted) {
    select.dataset.names = wanted;
    select.replaceChildren(new Option(t("allDevices"), ""), ...names.map((name) => new Option(name, name)));
    chosenBox = names.includes(chosenBox) ? chosenBox : "";
    select.value = chosenBox;
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function tellLink() {
  const up = connected && (link.up || !live());
  const element = $("link");
  element.dataset.up = String(up);
  const word = !up ? t("lost") : held && live() ? t("paused") : t(live() ? "live" : "recording");
  setText(element, hello.source ? `${word} · ${hello.source}` : word);
  const words = !connected && figures.messages ? t("ended")
    : !up && figures.messages ? [t("lostWhy"), link.why].filter(Boolean).join(" ") : note;
  setText($("banner"), words);
  const empty = !visible().length;
  $("empty").hidden = !empty;
  setText($("empty").children[0], live() ? t("waiting") : replay?.done && !replay.to ? t("noFrames") : "");
  setText($("empty").children[1], live() ? t("waitingWhy") : "");
  setText($("no-events"), events.events.length ? "" : t("noEvents"));
}

function tell() {
  busy = false;
  const now = performance.now();
  tellBoxes();
  arrange();
  for (const tile of tiles.values()) {
    const rate = boxes.get(tile.device)?.metrics?.fps?.[tile.name];
    tile.tell(now, live() && !held, rate ?? tile.rate(now));
  }
  tellLink();
}

/** Every word again: the language has changed, or the page begins. */
function refresh() {
  document.documentElement.lang = locale();
  document.title = t("title");
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  $("pause").textContent = held ? `▶ ${t("resume")}` : `❚❚ ${t("pause")}`;
  fill("theme", { auto: t("themeAuto"), light: t("themeLight"), dark: t("themeDark") });
  fill("level", { info: t("allLevels"), warning: t("warnings"), alarm: t("alarms") });
  $("events-frame").setAttribute("aria-label", t("newEvents"));
  events.refresh();
  replay?.refresh();
  tiles.forEach((tile) => { tile.shown = {}; tile.dirty = true; });
  cards.cards.forEach((card) => { card.said = ""; });
  tell();
}

function fill(id, options) {
  const select = $(id);
  const value = select.value;
  select.replaceChildren(...Object.entries(options).map(([key, word]) => new Option(word, key)));
  if (value) select.value = value;
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  readColours();
  tiles.forEach((tile) => { tile.dirty = true; });
}

function bind() {
  for (const [name, word] of Object.entries(LANGUAGES)) {
    const option = new Option(word, name);
    option.lang = name === "zh" ? "zh-CN" : name;
    $("language").append(option);
  }
  $("language").value = language();
  $("language").addEventListener("change", ({ target }) => {
    choose(target.value);
    store("language", target.value);
    refresh();
  });
  $("theme").addEventListener("change", ({ target }) => {
    store("theme", target.value);
    setTheme(target.value);
  });
  $("device").addEventListener("change", ({ target }) => {
    [chosenBox, busy] = [target.value, true];
    if (solo) open("");
  });
  $("level").addEventListener("change", ({ target }) => events.refresh(target.value));
  $("pause").addEventListener("click", () => {
    held = !held;
    refresh();
  });
  addEventListener("resize", () => { busy = true; });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme($("theme").value));
}

function turn(now) {
  const ms = now - before;
  before = now;
  replay?.step(ms);
  if (busy) tell();
  for (const tile of visible()) if (tile.dirty) tile.draw(now);
  requestAnimationFrame(turn);
}

/** Figures for whoever measures the page. */
window.viewerFigures = () => {
  const sorted = [...figures.delays_ms].sort((a, b) => a - b);
  const delay = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
  const now = performance.now();
  return {
    ...figures, delays_ms: { p50: delay(0.5), p95: delay(0.95) },
    drawn: Object.fromEntries([...tiles].map(([key, tile]) => [key, tile.rate(now)])),
  };
};

choose(preferred());
bind();
await loadSkeletons();
const theme = stored("theme") ?? "auto";
refresh();
$("theme").value = theme;
setTheme($("theme").value || "auto");
connect();
setInterval(() => { busy = true; }, 1000);
requestAnimationFrame(turn);
