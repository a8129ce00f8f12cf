// Shapes are kept as the server has them: {kind, name, points: [[x, y]], metres: [[x, y]]}, px.
const SVG = "http://www.w3.org/2000/svg";
const picture = document.getElementById("picture");
const list = document.getElementById("shapes");
const said = document.getElementById("said");
const finishButton = document.getElementById("finish");
const undoButton = document.getElementById("undo");
const state = { about: null, shapes: [], open: [], cross: null, unsaved: false };

const tell = (text) => { said.textContent = text; };
const kind = () => document.querySelector("input[name=kind]:checked").value;
const round = (value) => Math.round(value * 10) / 10;
const text = (points) => points.map((p) => p.map(round).join(",")).join(" ");

function parse(words) {
  const pairs = words.trim().split(/\s+/).filter(Boolean).map((w) => w.split(",").map(Number));
  return pairs.every((p) => p.length === 2 && p.every(Number.isFinite)) ? pairs : null;
}

function make(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

function changed(words) {
  state.unsaved = true;
  draw();
  tell(words);
}

function draw() {
  const { width, height } = state.about;
  picture.replaceChildren();
  picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  make("image", { href: "still.jpg", width, height }, picture);
  const unit = Math.max(width, height) / 1000;
  state.shapes.forEach((shape) => drawShape(shape, unit));
  if (state.open.length) {
    make("polyline", { points: text(state.open), class: `shape open ${kind()}` }, picture);
    state.open.forEach((p) => make("circle", { cx: p[0], cy: p[1], r: 5 * unit, class: "handle" }, picture));
  }
  if (state.cross) {
    const [x, y] = state.cross;
    make("path", { d: `M${x} 0V${height}M0 ${y}H${width}`, class: "cross", fill: "none" }, picture);
  }
  finishButton.disabled = state.open.length < state.about.least[kind()];
  undoButton.disabled = !state.open.length;
  drawList();
}

function drawShape(shape, unit) {
  const tag = shape.kind === "line" ? "polyline" : "polygon";
  make(tag, { points: text(shape.points), class: `shape ${shape.kind}` }, picture);
  const [x, y] = shape.points[0];
  const label = make("text", { x: x + 8 * unit, y: y - 8 * unit, "font-size": 18 * unit }, picture);
  label.textContent = shape.name || shape.kind;
  shape.points.forEach((p, i) => {
    const handle = make("circle", { cx: p[0], cy: p[1], r: 6 * unit, class: "handle" }, picture);
    handle.addEventListener("pointerdown", (event) => grab(event, shape, i));
  });
}

function drawList() {
  if (list.contains(document.activeElement) && document.activeElement.tagName === "INPUT") return;
  list.replaceChildren(...state.shapes.map(item));
}

function field(name, value, use) {
  const label = document.createElement("label");
  label.textContent = name;
  const input = document.createElement("input");
  input.type = "text";
  input.value = value;
  input.addEventListener("change", () => use(input));
  label.append(input);
  return label;
}

function item(shape, index) {
  const made = document.createElement("li");
  const head = document.createElement("div");
  const title = document.createElement("strong");
  title.textContent = shape.kind;
  const remove = document.createElement("button");
  remove.type = "button";
  remove.textContent = "Delete";
  remove.setAttribute("aria-label", `Delete ${shape.kind} ${shape.name}`);
  remove.addEventListener("click", () => {
    state.shapes.splice(index, 1);
    changed(`${shape.kind} ${shape.name} is deleted. Not saved yet.`);
  });
  head.append(title, remove);
  made.append(head);
  if (shape.kind === "zone" || shape.kind === "line") {
    made.append(field("Name", shape.name, (input) => { shape.name = input.value; changed("Renamed. Not saved yet."); }));
  }
  made.append(field("Points, px", text(shape.points), (input) => points(input, shape, "points")));
  if (shape.kind === "ground") {
    made.append(field("Places on the floor, m", text(shape.metres), (input) => points(input, shape, "metres")));
  }
  return made;
}

function points(input, shape, key) {
  const found = parse(input.value);
  const least = key === "metres" ? shape.points.length : state.about.least[shape.kind];
  if (!found || found.length < least) {
    input.setAttribute("aria-invalid", "true");
    tell(`Write ${least} points or more as x,y x,y ...`);
    return;
  }
  input.removeAttribute("aria-invalid");
  shape[key] = found;
  changed("Changed. Not saved yet.");
}

function place(event) {
  const matrix = picture.getScreenCTM().inverse();
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
  const { width, height } = state.about;
  return [Math.min(Math.max(at.x, 0), width), Math.min(Math.max(at.y, 0), height)].map(round);
}

function grab(event, shape, index) {
  event.preventDefault();
  event.stopPropagation();
  const move = (next) => { shape.points[index] = place(next); changed("Moved. Not saved yet."); };
  const end = () => { removeEventListener("pointermove", move); removeEventListener("pointerup", end); };
  addEventListener("pointermove", move);
  addEventListener("pointerup", end);
}

function add(point) {
  const last = state.open[state.open.length - 1];
  if (last && last[0] === point[0] && last[1] === point[1]) return; // the second click of two
  state.open.push(point);
  changed(`Point ${state.open.length} at ${point.join(", ")} px.`);
}

function finish() {
  const what = kind();
  if (state.open.length < state.about.least[what]) {
    tell(`A ${what} needs ${state.about.least[what]} points.`);
    return;
  }
  if (what === "ground") state.shapes = state.shapes.filter((s) => s.kind !== "ground");
  const named = what === "zone" || what === "line";
  state.shapes.push({ kind: what, name: named ? free(what) : "", points: state.open, metres: [] });
  state.open = [];
  changed(what === "ground" ? "Write the places of these points on the floor in the list." : `${what} is drawn. Not saved yet.`);
}

function free(name) {
  const taken = new Set(state.shapes.map((s) => s.name));
  let number = 1;
  while (taken.has(`${name}-${number}`)) number += 1;
  return `${name}-${number}`;
}

function undo() {
  state.open.pop();
  changed(`${state.open.length} points.`);
}

function onKey(event) {
  const step = event.shiftKey ? 10 : 1;
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  const { width, height } = state.about;
  if (moves[event.key]) {
    const [x, y] = state.cross || [width / 2, height / 2].map(Math.round);
    state.cross = [Math.min(Math.max(x + moves[event.key][0], 0), width), Math.min(Math.max(y + moves[event.key][1], 0), height)];
    draw();
    tell(`Cross at ${state.cross.map(round).join(", ")} px.`);
  } else if (event.key === " " && state.cross) add([...state.cross].map(round));
  else if (event.key === "Enter") finish();
  else if (event.key === "Backspace") undo();
  else if (event.key === "Escape") { state.open = []; state.cross = null; changed("Given up."); } else return;
  event.preventDefault();
}

async function save() {
  if (state.open.length) finish(); // who saves has drawn all of it
  if (state.open.length) {
    tell(`Not saved: a ${kind()} needs ${state.about.least[kind()]} points. Add points, or undo.`);
    return;
  }
  tell("Saving.");
  let answer;
  try {
    const response = await fetch("save", { method: "POST", body: JSON.stringify(state.shapes) });
    answer = await response.json();
  } catch {
    tell("Not saved: the program has ended, or this page has no right to save.");
    return;
  }
  if (answer.error) {
    tell(`Not saved: ${answer.error}`);
    return;
  }
  const ground = state.shapes.filter((s) => s.kind === "ground");
  state.shapes = [...answer.shapes, ...ground];
  state.unsaved = false;
  draw();
  tell(`Saved in ${state.about.file}.`);
}

picture.addEventListener("pointerdown", (event) => { if (event.button === 0) { state.cross = null; add(place(event)); } });
picture.addEventListener("dblclick", finish);
picture.addEventListener("keydown", onKey);
finishButton.addEventListener("click", finish);
undoButton.addEventListener("click", undo);
document.getElementById("save").addEventListener("click", save);
document.getElementById("kinds").addEventListener("change", draw);
addEventListener("beforeunload", (event) => { if (state.unsaved) event.preventDefault(); });

state.about = await (await fetch("about.json")).json();
state.shapes = state.about.shapes;
document.getElementById("camera").textContent = state.about.camera;
document.title = `edge-pose: draw ${state.about.camera}`;
draw();
tell(`${state.about.file}: ${state.shapes.length} shapes.`);
