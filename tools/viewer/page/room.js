// People in metres, seen from a point that the mouse or the keyboard moves round them.

import { colour, fit, skeleton, tag } from "./paint.js";

const HOME = { turn: 0.7, tilt: 0.42, zoom: 1 };
const STEP = Math.PI / 24;
const LEAST_SCORE = 1;

const APART_MM = 1200;

/** A room's frame of a camera's joints in metres (`world`), or null if there are none. Where people
 * stand is not known: they stand side by side on the floor, as the camera sees them. */
export function sideBySide(frame) {
  const seen = frame.people.filter((person) => Array.isArray(person.world));
  if (!seen.length) return null;
  const middle = (seen.length - 1) / 2;
  const people = seen.map(({ id, world }, n) => {
    let floor = -Infinity;
    for (let i = 0; i + 3 < world.length; i += 4) if (world[i + 3] > 0) floor = Math.max(floor, world[i + 1]);
    const keypoints = [];
    for (let i = 0; i + 3 < world.length; i += 4) {
      const [x, down, away, score] = world.slice(i, i + 4);
      keypoints.push(x + (n - middle) * APART_MM, away, floor - down, score);
    }
    return { id, keypoints };
  });
  return { ...frame, cameras: null, people };
}

/** The view of one room: `draw(canvas, frame)` and its controls. */
export class RoomView {
  constructor(changed) {
    this.changed = changed;
    this.view = { ...HOME };
    this.low = null; // mm: the corners of the space in which people were
    this.high = null;
  }

  /** Listen to the mouse and the keyboard on the canvas. */
  bind(canvas) {
    canvas.tabIndex = 0;
    canvas.addEventListener("pointerdown", (e) => canvas.setPointerCapture(e.pointerId));
    canvas.addEventListener("pointermove", (e) => {
      if (e.buttons) this.move(e.movementX * 0.008, e.movementY * 0.006, 1);
    });
    canvas.addEventListener("wheel", (e) => {
      e.preventDefault();
      this.move(0, 0, Math.exp(-e.deltaY * 0.001));
    }, { passive: false });
    const keys = {
      ArrowLeft: [-STEP, 0, 1], ArrowRight: [STEP, 0, 1], ArrowUp: [0, STEP, 1], ArrowDown: [0, -STEP, 1],
      "+": [0, 0, 1.15], "=": [0, 0, 1.15], "-": [0, 0, 1 / 1.15],
    };
    canvas.addEventListener("keydown", (e) => {
      if (!keys[e.key] || e.ctrlKey || e.metaKey || e.altKey) return;
      e.preventDefault();
      this.move(...keys[e.key]);
    });
  }

  /** Buttons for what the mouse does, for those who cannot drag. */
  buttons() {
    const made = [
      ["turnLeft", "↶", [-STEP * 2, 0, 1]], ["turnRight", "↷", [STEP * 2, 0, 1]],
      ["tiltUp", "⤒", [0, STEP * 2, 1]], ["tiltDown", "⤓", [0, -STEP * 2, 1]],
      ["nearer", "+", [0, 0, 1.25]], ["farther", "−", [0, 0, 0.8]], ["resetView", "⟲", null],
    ];
    return made.map(([key, sign, step]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = sign;
      button.dataset.label = key;
      button.addEventListener("click", () => (step ? this.move(...step) : this.reset()));
      return button;
    });
  }

  reset() {
    this.view = { ...HOME };
    this.changed();
  }

  move(turn, tilt, zoom) {
    this.view.turn += turn;
    this.view.tilt = Math.min(1.5, Math.max(0, this.view.tilt + tilt));
    this.view.zoom = Math.min(6, Math.max(0.3, this.view.zoom * zoom));
    this.changed();
  }

  /** Take the space of these people into account; it grows at once and never shrinks. */
  see(frame) {
    for (const { keypoints: k } of frame.people) {
      for (let i = 0; i + 3 < k.length; i += 4) {
        if (k[i + 3] < LEAST_SCORE) continue;
        const p = [k[i], k[i + 1], k[i + 2]];
        this.low = this.low ? this.low.map((v, a) => Math.min(v, p[a])) : p;
        this.high = this.high ? this.high.map((v, a) => Math.max(v, p[a])) : p;
      }
    }
  }

  draw(canvas, frame) {
    const { pen, w, h } = fit(canvas);
    pen.fillStyle = colour("picture");
    pen.fillRect(0, 0, w, h);
    if (frame) this.see(frame);
    const low = this.low ?? [-2000, -2000, 0];
    const high = this.high ?? [2000, 2000, 1800];
    const middle = low.map((v, a) => (v + high[a]) / 2);
    const reach = Math.max(1500, ...low.map((v, a) => (high[a] - v) / 2));
    const spot = projection(this.view, middle, reach, w, h);
    drawFloor(pen, spot, middle, reach);
    if (!frame) return;
    const set = skeleton(frame.skeleton);
    for (const person of frame.people) drawPerson(pen, spot, person, set, [w, h]);
  }
}

/** A function from mm to [x, y, scale] on the canvas; null behind the eye. */
function projection({ turn, tilt, zoom }, middle, reach, w, h) {
  const [ct, st, cu, su] = [Math.cos(turn), Math.sin(turn), Math.cos(tilt), Math.sin(tilt)];
  const far = reach * 3.4;
  const size = Math.min(w * 0.8, h) * 2.3 * zoom;
  return (p) => {
    const [x, y, z] = [p[0] - middle[0], p[1] - middle[1], p[2] - middle[2]];
    const [a, b] = [x * ct - y * st, x * st + y * ct];
    const depth = b * cu - z * su + far;
    if (depth < reach * 0.1) return null;
    return [w / 2 + (a * size) / depth, h / 2 - ((b * su + z * cu) * size) / depth, size / depth];
  };
}

function drawFloor(pen, spot, middle, reach) {
  const half = Math.ceil(reach / 1000 + 0.5) * 1000;
  const [x0, y0] = [Math.round(middle[0] / 1000) * 1000, Math.round(middle[1] / 1000) * 1000];
  pen.strokeStyle = colour("floor");
  pen.lineWidth = 1;
  pen.beginPath();
  for (let k = -half; k <= half; k += 500) {
    line(pen, spot([x0 + k, y0 - half, 0]), spot([x0 + k, y0 + half, 0]));
    line(pen, spot([x0 - half, y0 + k, 0]), spot([x0 + half, y0 + k, 0]));
  }
  pen.stroke();
}

function line(pen, a, b) {
  if (!a || !b) return;
  pen.moveTo(a[0], a[1]);
  pen.lineTo(b[0], b[1]);
}

function drawPerson(pen, spot, person, set, limits) {
  const k = person.keypoints;
  const spots = [];
  let [top, tall] = [null, 0];
  for (let i = 0; i + 3 < k.length; i += 4) {
    const seen = k[i + 3] >= LEAST_SCORE ? spot([k[i], k[i + 1], k[i + 2]]) : null;
    spots.push(seen);
    if (seen && (!top || seen[1] < top[1])) top = seen;
    if (seen) tall = Math.max(tall, seen[2]);
  }
  drawShadow(pen, spot, k);
  pen.lineCap = pen.lineJoin = "round";
  for (const [thickness, side, edges] of set?.groups ?? []) {
    pen.beginPath();
    for (const [a, b] of edges) line(pen, spots[a], spots[b]);
    pen.strokeStyle = colour(side);
    pen.lineWidth = thickness === "fine" ? 1 : Math.min(6, Math.max(1.8, tall * 32));
    pen.globalAlpha = thickness === "fine" ? 0.75 : 1;
    pen.stroke();
  }
  pen.globalAlpha = 1;
  if (top) tag(pen, top[0], top[1] - 8, String(person.id), undefined, limits);
}

/** Where the person stands: a soft spot on the floor. */
function drawShadow(pen, spot, k) {
  let [x, y, n] = [0, 0, 0];
  for (let i = 0; i + 3 < k.length; i += 4) {
    if (k[i + 3] < LEAST_SCORE) continue;
    [x, y, n] = [x + k[i], y + k[i + 1], n + 1];
  }
  if (!n) return;
  pen.beginPath();
  for (let i = 0; i < 24; i += 1) {
    const turn = (i / 24) * 2 * Math.PI;
    const at = spot([x / n + 260 * Math.cos(turn), y / n + 260 * Math.sin(turn), 0]);
    if (!at) return;
    pen[i ? "lineTo" : "moveTo"](at[0], at[1]);
  }
  pen.closePath();
  pen.fillStyle = colour("middle");
  pen.globalAlpha = 0.12;
  pen.fill();
  pen.globalAlpha = 1;
}
