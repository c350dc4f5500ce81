// The canvas: the frame, predictions, labels, and the mouse.

import { S, emit } from "./state.js";

const canvas = document.getElementById("canvas");
const tip = document.getElementById("tip");
const context = canvas.getContext("2d");
const REACH = 12; // css pixels from which a point can be grabbed
const SHAPES = ["circle", "square", "triangle", "diamond", "cross", "pentagon"];
const view = { scale: 1, x: 0, y: 0, fitted: true };
let drag = null;
let hover = null;

export const toScreen = ([x, y]) => [(x + 0.5) * view.scale + view.x, (y + 0.5) * view.scale + view.y];
const toImage = (sx, sy) => [(sx - view.x) / view.scale - 0.5, (sy - view.y) / view.scale - 0.5];
export const css = ([r, g, b], alpha = 1) => `rgba(${r},${g},${b},${alpha})`;

export function marker(c, shape, x, y, r) {
  c.beginPath();
  const corners = { square: [4, Math.PI / 4, 1.25], triangle: [3, -Math.PI / 2, 1.35], diamond: [4, 0, 1.35], pentagon: [5, -Math.PI / 2, 1.2] }[shape];
  if (shape === "cross") {
    c.moveTo(x - r, y - r); c.lineTo(x + r, y + r); c.moveTo(x - r, y + r); c.lineTo(x + r, y - r);
  } else if (corners) {
    const [n, turn, size] = corners;
    for (let i = 0; i < n; i++) c.lineTo(x + r * size * Math.cos(turn + 2 * Math.PI * i / n), y + r * size * Math.sin(turn + 2 * Math.PI * i / n));
    c.closePath();
  } else {
    c.arc(x, y, r, 0, 2 * Math.PI);
  }
}

export const shapeOf = (model) => SHAPES[model % SHAPES.length];

// One model: a colour for each keypoint (or animal). Several: a colour for each model.
export function colorOf(model, keypoint) {
  return S.project.models.length > 1 ? S.project.models[model].color : S.project.colors[keypoint] || [255, 255, 255];
}

// The points that the mouse can move: the labels, or else those of the first model shown.
export function editable() {
  if (!S.drawn) return [];
  if (S.drawn.label.pose) return S.drawn.label.pose.map(([x, y, v]) => (x === null || v === 0 ? null : [x, y]));
  const points = S.drawn.predictions[S.active] || [];
  return points.map(([x, y, c]) => (Number.isFinite(x) && x !== null && c >= S.floor ? [x, y] : null));
}

export function fit() {
  if (!S.drawn) return;
  const { clientWidth: w, clientHeight: h } = canvas;
  const { width, height } = S.drawn.bitmap;
  view.scale = Math.min(w / width, h / height);
  view.x = (w - width * view.scale) / 2;
  view.y = (h - height * view.scale) / 2;
  view.fitted = true;
}

export function zoom(factor, sx = canvas.clientWidth / 2, sy = canvas.clientHeight / 2) {
  const scale = Math.min(60, Math.max(0.05, view.scale * factor));
  view.x = sx - (sx - view.x) * scale / view.scale;
  view.y = sy - (sy - view.y) * scale / view.scale;
  view.scale = scale;
  view.fitted = false;
  draw();
}

export function draw() {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: w, clientHeight: h } = canvas;
  if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
    canvas.width = Math.round(w * ratio);
    canvas.height = Math.round(h * ratio);
    if (view.fitted) fit();
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, w, h);
  if (!S.drawn) return;
  const { bitmap, predictions, label } = S.drawn;
  context.imageSmoothingEnabled = view.scale < 4;
  context.drawImage(bitmap, view.x, view.y, bitmap.width * view.scale, bitmap.height * view.scale);
  if (S.overlay) {
    for (const [model, points] of Object.entries(predictions)) {
      if (S.shown[model]) drawPrediction(Number(model), points, Boolean(label.pose));
    }
  }
  if (label.pose && S.overlay && S.drawn.mode === "images" && predictions[S.active]) drawErrors(label.pose, predictions[S.active]);
  if (label.pose) drawLabels(label.pose);
  const points = editable();
  if (S.selected !== null && points[S.selected]) halo(points[S.selected]);
}

function moved(points) {
  return drag && drag.keypoint !== undefined && drag.at ? points.map((p, k) => (k === drag.keypoint ? [...drag.at, ...p.slice(2)] : p)) : points;
}

function drawPrediction(model, given, faint) {
  const points = !faint && model === S.active ? moved(given) : given;
  const sure = points.map(([x, y, c]) => (x === null || !Number.isFinite(x) || c < S.floor ? 0 : (0.2 + 0.8 * Math.min(1, c)) * (faint ? 0.55 : 1)));
  context.lineWidth = 1.5;
  for (const [a, b] of S.project.skeleton) {
    if (sure[a] && sure[b]) line(points[a], points[b], css(colorOf(model, a), Math.min(sure[a], sure[b]) * 0.8));
  }
  points.forEach((point, k) => {
    if (!sure[k]) return;
    const [x, y] = toScreen(point);
    context.globalAlpha = sure[k];
    marker(context, shapeOf(model), x, y, faint ? 3 : 4.5);
    paint(css(colorOf(model, k)), shapeOf(model) === "cross");
    context.globalAlpha = 1;
  });
}

function paint(color, open) {
  context.lineWidth = open ? 4 : 2.5;
  context.strokeStyle = "rgba(0,0,0,.75)";
  context.stroke();
  if (open) { context.lineWidth = 2; context.strokeStyle = color; context.stroke(); return; }
  context.fillStyle = color;
  context.fill();
}

// A line from every label to its prediction, also to one that is not shown because it is unsure.
function drawErrors(labels, predicted) {
  context.setLineDash([2, 3]);
  context.lineWidth = 1.5;
  labels.forEach(([x, y, v], k) => {
    const [px, py] = predicted[k];
    if (x !== null && v && Number.isFinite(px) && Math.hypot(px - x, py - y) > 2) line([x, y], [px, py], css(S.project.colors[k], 0.9));
  });
  context.setLineDash([]);
}

function drawLabels(given) {
  const points = moved(given);
  context.lineWidth = 1.5;
  for (const [a, b] of S.project.skeleton) {
    if (points[a][0] !== null && points[b][0] !== null) line(points[a], points[b], "rgba(255,255,255,.55)");
  }
  points.forEach(([px, py, v], k) => {
    if (px === null || v === 0) return;
    const [x, y] = toScreen([px, py]);
    context.setLineDash(v === 1 ? [3, 2.5] : []);
    context.beginPath(); context.arc(x, y, 6.5, 0, 2 * Math.PI);
    context.lineWidth = 4; context.strokeStyle = "rgba(0,0,0,.7)"; context.stroke();
    context.lineWidth = 2; context.strokeStyle = "#fff"; context.stroke();
    context.setLineDash([]);
    if (v === 2) {
      context.beginPath(); context.arc(x, y, 2.6, 0, 2 * Math.PI);
      context.fillStyle = css(S.project.colors[k] || [255, 255, 255]); context.fill();
    }
  });
}

function line(a, b, style) {
  context.beginPath();
  context.moveTo(...toScreen(a));
  context.lineTo(...toScreen(b));
  context.strokeStyle = style;
  context.stroke();
}

function halo(point) {
  const [x, y] = toScreen(drag && drag.at && drag.keypoint === S.selected ? drag.at : point);
  context.beginPath(); context.arc(x, y, 11, 0, 2 * Math.PI);
  context.lineWidth = 2; context.strokeStyle = "#4da3ff"; context.stroke();
}

function nearest(sx, sy) {
  let best = null;
  editable().forEach((point, k) => {
    if (!point) return;
    const [x, y] = toScreen(point);
    const far = Math.hypot(x - sx, y - sy);
    if (far <= REACH && (best === null || far < best.far)) best = { k, far };
  });
  return best;
}

const clamp = ([x, y]) => [
  Math.min(S.drawn.bitmap.width - 0.5, Math.max(-0.5, x)), Math.min(S.drawn.bitmap.height - 0.5, Math.max(-0.5, y)),
];
const inPicture = ([x, y]) => x >= -0.5 && y >= -0.5 && x <= S.drawn.bitmap.width - 0.5 && y <= S.drawn.bitmap.height - 0.5;

canvas.addEventListener("pointerdown", (event) => {
  if (!S.drawn || event.button > 1) return;
  canvas.focus();
  const at = [event.offsetX, event.offsetY];
  const found = event.button === 0 && !event.shiftKey ? nearest(...at) : null;
  drag = { from: at, view: { ...view }, moved: false };
  if (found) {
    drag.keypoint = found.k;
    drag.start = editable()[found.k];
    emit("select", found.k);
  }
  canvas.setPointerCapture(event.pointerId);
});

canvas.addEventListener("pointermove", (event) => {
  const at = [event.offsetX, event.offsetY];
  if (!drag) return showTip(at);
  const [dx, dy] = [at[0] - drag.from[0], at[1] - drag.from[1]];
  if (!drag.moved && Math.hypot(dx, dy) < 3) return;
  drag.moved = true;
  tip.hidden = true;
  if (drag.keypoint === undefined) {
    Object.assign(view, { x: drag.view.x + dx, y: drag.view.y + dy, fitted: false });
  } else if (S.project.editable) {
    drag.at = clamp([drag.start[0] + dx / view.scale, drag.start[1] + dy / view.scale]);
  }
  draw();
});

canvas.addEventListener("pointerup", (event) => {
  if (!drag) return;
  const done = drag;
  const at = toImage(event.offsetX, event.offsetY);
  if (done.keypoint !== undefined && done.at) {
    const pose = S.drawn.label.pose;
    S.drawn.pending = { keypoint: done.keypoint, at: done.at };
    emit("move", { keypoint: done.keypoint, at: done.at, visibility: pose && pose[done.keypoint][2] === 1 ? 1 : 2 });
  } else if (!done.moved && done.keypoint === undefined && S.selected !== null && inPicture(at)) {
    if (event.shiftKey || (S.drawn.label.pose && !editable()[S.selected])) emit("move", { keypoint: S.selected, at, visibility: 2 });
  }
  drag = null;
  draw();
});

canvas.addEventListener("pointercancel", () => { drag = null; draw(); });
canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
canvas.addEventListener("dblclick", () => { if (!nearest) return; fit(); draw(); });
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY * 0.0016), event.offsetX, event.offsetY);
}, { passive: false });

function showTip(at) {
  const found = nearest(...at);
  hover = found ? found.k : null;
  canvas.style.cursor = found && S.project.editable ? "grab" : "default";
  tip.hidden = hover === null;
  if (hover === null) return;
  const points = (S.drawn.predictions[S.active] || [])[hover];
  const sure = points && points[2] !== null && Number.isFinite(points[2]) ? ` · confidence ${points[2].toFixed(2)}` : "";
  tip.textContent = S.project.keypoints[hover] + sure;
  tip.style.left = `${Math.min(at[0] + 14, canvas.clientWidth - tip.offsetWidth - 4)}px`;
  tip.style.top = `${Math.max(2, at[1] - 26)}px`;
}

new ResizeObserver(() => draw()).observe(canvas);
