// Timelines under the video: a number per frame of each model, and where we are.

import { json, Recent } from "./api.js";
import { S, element, emit, make } from "./state.js";
import { css } from "./view.js";

const TITLES = {
  confidence: ["Confidence", "mean", ""],
  temporal_norm: ["Jump", "since the frame before", "px"],
  pca_singleview_error: ["Unusual pose", "PCA of the labels", "px"],
  pca_multiview_error: ["Views disagree", "PCA of the views", "px"],
  ensemble_spread: ["Models disagree", "distance from their mean", "px"],
  sigma: ["Expected error", "", "px"],
};
const lines = []; // { metric, row, canvas, series: {model: {low, high, peaks}} }
const cache = new Recent(200);
const range = { start: 0, stop: 1 };
let selected = 0;
let asked = 0;

export function build() {
  const box = element("timelines");
  box.replaceChildren();
  lines.length = 0;
  range.start = 0;
  range.stop = S.facts.frames;
  addLine(null);
  const metrics = new Set(Object.values(S.facts.models).flatMap((model) => model.metrics));
  metrics.forEach(addLine);
  selected = Math.min(Math.max(1, selected), Math.max(0, lines.length - 1));
  load();
}

function addLine(metric) {
  const row = make("div", "", metric ? "timeline" : "timeline scrub");
  const title = make("button", "", "title");
  const [name, what] = metric ? TITLES[metric] || [metric.replaceAll("_", " "), ""] : ["Frames", ""];
  title.append(name, make("small", metric ? what : "green: labeled"));
  title.title = metric ? `${name}${what ? `: ${what}` : ""}. Click to let , and . go through its peaks.` : "Green: labeled. Orange: not saved yet.";
  const canvas = make("canvas");
  row.append(title, canvas);
  element("timelines").append(row);
  const line = { metric, row, canvas, title, series: {} };
  lines.push(line);
  if (metric) title.addEventListener("click", () => choose(lines.indexOf(line)));
  const seek = (event) => {
    const share = Math.min(1, Math.max(0, event.offsetX / canvas.clientWidth));
    emit("go", Math.min(S.facts.frames - 1, Math.floor(range.start + share * (range.stop - range.start))));
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    seek(event);
    if (metric) choose(lines.indexOf(line));
  });
  canvas.addEventListener("pointermove", (event) => { if (event.buttons) seek(event); });
  canvas.addEventListener("dblclick", () => { range.start = 0; range.stop = S.facts.frames; load(); });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey) return;
    event.preventDefault();
    const at = range.start + event.offsetX / canvas.clientWidth * (range.stop - range.start);
    stretch(Math.exp((event.deltaY || event.deltaX) * 0.002), at);
  }, { passive: false });
}

export function stretch(factor, at = S.frame) {
  const length = Math.min(S.facts.frames, Math.max(40, (range.stop - range.start) * factor));
  const share = (at - range.start) / (range.stop - range.start);
  range.start = Math.round(Math.min(S.facts.frames - length, Math.max(0, at - share * length)));
  range.stop = Math.round(range.start + length);
  load();
}

export function choose(index) {
  selected = Math.min(lines.length - 1, Math.max(1, index));
  if (lines[selected]) lines[selected].row.scrollIntoView({ block: "nearest" });
  draw();
}

export function next() {
  if (lines.length > 1) choose(selected + 1 < lines.length ? selected + 1 : 1);
}

export async function load() {
  const ticket = ++asked;
  const bins = Math.max(50, Math.min(2000, lines[0] ? lines[0].canvas.clientWidth : 800));
  const keypoint = S.selected === null ? "" : `&keypoint=${S.selected}`;
  const wanted = [];
  for (const line of lines.filter((l) => l.metric)) {
    line.title.lastChild.textContent = described(line.metric);
    for (const [model, facts] of Object.entries(S.facts.models)) {
      if (!facts.metrics.includes(line.metric)) continue;
      const path = `/api/videos/${S.video}/series?model=${model}&metric=${encodeURIComponent(line.metric)}&start=${range.start}&stop=${range.stop}&bins=${bins}${keypoint}`;
      wanted.push(cache.get(path, () => json(path)).then((series) => { if (ticket === asked) line.series[model] = series; }));
    }
  }
  const done = await Promise.allSettled(wanted);
  if (ticket === asked) draw();
  const failed = done.find((one) => one.status === "rejected");
  if (failed) emit("error", failed.reason);
}

function described(metric) {
  const [, what] = TITLES[metric] || ["", ""];
  if (S.selected !== null) return S.project.keypoints[S.selected];
  return metric === "confidence" ? "mean of all keypoints" : "worst keypoint";
}

export function draw() {
  if (S.mode !== "video" || !S.facts) return;
  if (S.frame < range.start || S.frame >= range.stop) {
    const length = range.stop - range.start;
    range.start = Math.round(Math.min(S.facts.frames - length, Math.max(0, S.frame - length / 2)));
    range.stop = range.start + length;
    load();
    return;
  }
  lines.forEach((line, index) => {
    line.row.classList.toggle("selected", index === selected && Boolean(line.metric));
    drawLine(line, index === selected);
  });
}

function drawLine(line, chosen) {
  const { canvas } = line;
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(w * ratio);
  canvas.height = Math.round(h * ratio);
  const c = canvas.getContext("2d");
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  const x = (frame) => (frame + 0.5 - range.start) / (range.stop - range.start) * w;
  if (line.metric) drawSeries(c, line, w, h, chosen, x);
  else drawRuler(c, w, h, x);
  c.fillStyle = "#fff";
  c.fillRect(Math.round(x(S.frame)) - 0.75, 0, 1.5, h);
}

function drawRuler(c, w, h, x) {
  c.font = "10px system-ui, sans-serif";
  const span = range.stop - range.start;
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000].find((s) => span / s < w / 70) || 200000;
  for (let f = Math.ceil(range.start / step) * step; f < range.stop; f += step) {
    c.fillStyle = "#363b46"; c.fillRect(x(f), 0, 1, h);
    c.fillStyle = "#9aa2b1"; c.fillText(f.toLocaleString("en"), x(f) + 3, h - 4);
  }
  const edited = new Set(S.session.frames.filter((f) => f.video === S.video && !f.saved).map((f) => f.frame));
  for (const frame of S.labeled) {
    c.fillStyle = edited.has(frame) ? "#ffb224" : "#4cc38a";
    c.beginPath(); c.arc(x(frame), 6, 3.2, 0, 7); c.fill();
  }
}

function drawSeries(c, line, w, h, chosen, x) {
  const models = Object.keys(line.series).filter((m) => S.shown[m]);
  const highs = models.flatMap((m) => line.series[m].high).filter((v) => v !== null);
  const top = line.metric === "confidence" ? 1 : scale(highs);
  const lows = models.flatMap((m) => line.series[m].low).filter((v) => v !== null);
  const bottom = line.metric === "confidence" && lows.length ? Math.min(0.8, Math.floor(10 * Math.min(...lows)) / 10) : 0;
  const y = (v) => h - 2 - Math.max(0, Math.min(1, (v - bottom) / (top - bottom))) * (h - 5);
  for (const m of models) {
    const { low, high } = line.series[m];
    const width = w / high.length;
    if (width > 1.2) { drawCurve(c, high, width, y, css(S.project.models[m].color)); continue; }
    c.fillStyle = css(S.project.models[m].color, models.length > 1 ? 0.75 : 0.95);
    for (let i = 0; i < high.length; i++) {
      if (high[i] === null) continue;
      const before = i && high[i - 1] !== null ? [low[i - 1], high[i - 1]] : [low[i], high[i]];
      const upper = y(Math.max(high[i], before[0])), lower = y(Math.min(low[i], before[1]));
      c.fillRect(i * width, upper - 0.6, Math.max(1, width), Math.max(1.2, lower - upper + 1.2));
    }
  }
  c.fillStyle = "#9aa2b1"; c.font = "10px system-ui, sans-serif";
  const unit = (TITLES[line.metric] || ["", "", ""])[2];
  c.fillText(`${top < 10 ? top.toFixed(top < 1 ? 2 : 1).replace(/\.0$/, "") : Math.round(top)} ${unit}`, 4, 10);
  if (bottom) c.fillText(bottom.toFixed(1), 4, h - 4);
  if (chosen) {
    c.fillStyle = "#4da3ff";
    for (const frame of found(line)) {
      if (frame < range.start || frame >= range.stop) continue;
      c.beginPath(); c.moveTo(x(frame) - 3.5, 0); c.lineTo(x(frame) + 3.5, 0); c.lineTo(x(frame), 6); c.fill();
    }
  }
}

function drawCurve(c, values, width, y, color) {
  c.beginPath();
  let pen = false;
  values.forEach((value, i) => {
    if (value === null) { pen = false; return; }
    c[pen ? "lineTo" : "moveTo"]((i + 0.5) * width, y(value));
    pen = true;
  });
  c.lineWidth = 1.4;
  c.strokeStyle = color;
  c.stroke();
}

// A round number that nearly all values are below: one wild value must not flatten the rest.
function scale(values) {
  if (!values.length) return 1;
  const sorted = [...values].sort((a, b) => a - b);
  const most = Math.min(sorted.at(-1), 3 * sorted[Math.floor(0.97 * (sorted.length - 1))]) || sorted.at(-1) || 1;
  const unit = 10 ** Math.floor(Math.log10(most));
  return unit * ([1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((k) => k * unit >= most) || 10);
}

function found(line) {
  const series = line.series[S.active] || Object.values(line.series)[0];
  return series ? series.peaks : [];
}

// The frame of the next (1) or previous (-1) peak of the chosen line; null if there is none.
export function peak(direction) {
  const line = lines[selected];
  if (!line || !line.metric) return null;
  const peaks = found(line);
  const later = direction > 0 ? peaks.find((f) => f > S.frame) : peaks.findLast((f) => f < S.frame);
  return later === undefined ? null : later;
}

new ResizeObserver(() => { if (S.facts && S.mode === "video") load(); }).observe(element("timelines"));
