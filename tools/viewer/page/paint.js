// Draws skeletons and outlines of one camera on a 2-D canvas. No pixels of a camera are here.

const LEAST_SCORE = 20; // of a keypoint that is drawn, in hundredths

let sets = {};
let colours = {};

/** Read the keypoint sets of the contract and prepare the lines of each. */
export async function loadSkeletons() {
  const found = (await (await fetch("skeletons.json")).json()).skeletons;
  for (const [name, set] of Object.entries(found)) sets[name] = prepared(set);
}

function prepared(set) {
  const fine = new Set([...set.parts.face, ...set.parts.left_hand, ...set.parts.right_hand]);
  const side = set.points.map((name, i) =>
    set.parts.left_hand.includes(i) || /(^|_)left(_|$)|^l_/.test(name) ? "left"
      : set.parts.right_hand.includes(i) || /(^|_)right(_|$)|^r_/.test(name) ? "right" : "middle");
  const groups = {};
  for (const [a, b] of set.edges) {
    const where = set.parts.face.includes(a) && set.parts.face.includes(b) ? "middle"
      : side[a] === side[b] ? side[a] : side[a] === "middle" ? side[b] : side[b] === "middle" ? side[a] : "middle";
    const key = `${fine.has(a) && fine.has(b) ? "fine" : "body"} ${where}`;
    (groups[key] ??= []).push([a, b]);
  }
  const dots = [...set.points.keys()].filter((i) => !fine.has(i));
  return { groups: Object.entries(groups).map(([key, edges]) => [...key.split(" "), edges]), dots, side };
}

/** The lines of a keypoint set: [thickness, side, edges] of each group, or null if it is unknown. */
export const skeleton = (name) => (Object.hasOwn(sets, name) ? sets[name] : null);

/** Take the colours of the style sheet, after the theme has changed. */
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["left", "right", "middle", "zone", "alarm", "warning", "tag", "tag-text", "floor", "picture", "edge"];
  colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

export const colour = (name) => colours[name];

/** Fit the canvas to its place on the screen; returns its size in CSS px. */
export function fit(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [canvas.clientWidth, canvas.clientHeight];
  const [wide, high] = [Math.round(w * ratio), Math.round(h * ratio)];
  if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { pen, w, h };
}

/** Draw one frame.
 * @param canvas of the camera.
 * @param frame message of the contract, or null: only the outlines.
 * @param size [width, height] px of the picture.
 * @param outlines of its rules. @param marks words beside a person, by id: {text, level}.
 */
export function paint(canvas, frame, size, outlines, marks) {
  const { pen, w, h } = fit(canvas);
  pen.clearRect(0, 0, w, h);
  if (!(size[0] > 0 && size[1] > 0)) return;
  const scale = Math.min(w / size[0], h / size[1]);
  const view = { s: scale / 10, x: (w - size[0] * scale) / 2, y: (h - size[1] * scale) / 2 };
  pen.fillStyle = colours.picture;
  pen.fillRect(view.x, view.y, size[0] * scale, size[1] * scale);
  pen.strokeStyle = colours.edge;
  pen.lineWidth = 1;
  pen.strokeRect(view.x + 0.5, view.y + 0.5, size[0] * scale - 1, size[1] * scale - 1);
  for (const outline of outlines) drawOutline(pen, view, outline, [w, h]);
  const set = frame && skeleton(frame.skeleton);
  if (!frame) return;
  for (const person of frame.people) drawPerson(pen, view, person, set);
  for (const person of frame.people) drawTag(pen, view, person, marks.get(person.id), [w, h]);
}

function drawOutline(pen, view, outline, limits) {
  if (!outline.points.length) return;
  pen.beginPath();
  outline.points.forEach(([x, y], i) =>
    pen[i ? "lineTo" : "moveTo"](view.x + x * view.s, view.y + y * view.s));
  pen.strokeStyle = pen.fillStyle = colours.zone;
  pen.lineJoin = "round";
  pen.lineWidth = outline.closed ? 1.5 : 2.5;
  pen.setLineDash(outline.closed ? [] : [8, 5]);
  if (outline.closed) {
    pen.closePath();
    pen.globalAlpha = 0.1;
    pen.fill();
    pen.globalAlpha = 1;
  }
  pen.stroke();
  pen.setLineDash([]);
  const top = outline.points.reduce((best, p) => (p[1] < best[1] ? p : best));
  pen.font = "600 12px system-ui, sans-serif";
  pen.textAlign = "left";
  const most = limits[0] - pen.measureText(outline.label).width - 4;
  pen.fillText(outline.label, Math.max(4, Math.min(most, view.x + top[0] * view.s + 4)), Math.max(14, view.y + top[1] * view.s - 6));
}

function drawPerson(pen, view, person, set) {
  const k = person.keypoints;
  const tall = Math.max(20, (person.box[3] - person.box[1]) * view.s);
  const body = Math.min(5, Math.max(1.8, tall / 65));
  pen.lineCap = pen.lineJoin = "round";
  if (!set) return drawBox(pen, view, person);
  let drawn = 0;
  for (const [thickness, side, edges] of set.groups) {
    pen.beginPath();
    for (const [a, b] of edges) {
      if (k[3 * a + 2] < LEAST_SCORE || k[3 * b + 2] < LEAST_SCORE) continue;
      pen.moveTo(view.x + k[3 * a] * view.s, view.y + k[3 * a + 1] * view.s);
      pen.lineTo(view.x + k[3 * b] * view.s, view.y + k[3 * b + 1] * view.s);
      drawn += 1;
    }
    pen.strokeStyle = colours[side];
    pen.lineWidth = thickness === "fine" ? Math.max(0.8, body * 0.4) : body;
    pen.globalAlpha = thickness === "fine" ? 0.75 : 1;
    pen.stroke();
  }
  pen.globalAlpha = 1;
  drawDots(pen, view, k, set.dots, body);
  if (!drawn) drawBox(pen, view, person);
}

function drawDots(pen, view, k, dots, body) {
  pen.beginPath();
  for (const i of dots) {
    if (!(k[3 * i + 2] >= LEAST_SCORE)) continue;
    const [x, y] = [view.x + k[3 * i] * view.s, view.y + k[3 * i + 1] * view.s];
    pen.moveTo(x + body * 0.62, y);
    pen.arc(x, y, body * 0.62, 0, 2 * Math.PI);
  }
  pen.fillStyle = colours.middle;
  pen.fill();
}

/** Of a person without keypoints that can be drawn. */
function drawBox(pen, view, person) {
  const [x1, y1, x2, y2] = person.box;
  pen.strokeStyle = colours.middle;
  pen.lineWidth = 1;
  pen.strokeRect(view.x + x1 * view.s, view.y + y1 * view.s, (x2 - x1) * view.s, (y2 - y1) * view.s);
}

function drawTag(pen, view, person, mark, limits) {
  const x = view.x + ((person.box[0] + person.box[2]) / 2) * view.s;
  let top = person.box[1];
  for (let i = 0; i + 2 < person.keypoints.length; i += 3) {
    if (person.keypoints[i + 2] >= LEAST_SCORE) top = Math.min(top, person.keypoints[i + 1]);
  }
  const y = view.y + top * view.s - 6;
  tag(pen, x, y, mark ? `${person.id} ${mark.text}` : String(person.id), mark?.level, limits);
}

/** A small label with its middle at x and its lower side at y. */
export function tag(pen, x, y, text, level, limits) {
  pen.font = `600 ${level ? 13 : 11}px system-ui, "Noto Sans CJK SC", sans-serif`;
  const wide = pen.measureText(text).width + 12;
  const high = level ? 20 : 17;
  const left = Math.min(Math.max(2, x - wide / 2), limits[0] - wide - 2);
  const top = Math.min(Math.max(2, y - high), limits[1] - high - 2);
  pen.beginPath();
  pen.roundRect(left, top, wide, high, high / 2);
  pen.fillStyle = level ? colours[level] : colours.tag;
  pen.fill();
  pen.fillStyle = colours["tag-text"];
  pen.textAlign = "center";
  pen.fillText(text, left + wide / 2, top + high / 2 + 4);
}
