// Loads what is to be shown, and does what keys and buttons ask for.

import { Recent, json, picture, poses, post } from "./api.js";
import { buildHelp, drawEdits, drawKeypoints, drawModels, drawRows } from "./panels.js";
import { S, element, emit, hint, on, say } from "./state.js";
import * as timeline from "./timeline.js";
import * as view from "./view.js";

let pictures = new Recent(24, (bitmap) => bitmap.close());
let wanted = null;
let busy = false;
let turn = Promise.resolve(); // edits reach the server one after the other
let waiting = 0; // edits that are not answered yet
let placed = 0; // points that were put somewhere on this page
let playing = false;

const here = () => (S.mode === "video" ? { mode: "video", video: S.video, frame: S.frame } : { mode: "images", image: S.image });
const same = (a, b) => a && b && a.mode === b.mode && (a.mode === "video" ? a.video === b.video && a.frame === b.frame : a.image === b.image);
const placeOf = (at) => (at.mode === "video" ? { video: at.video, frame: at.frame } : { image: at.image });

// One picture is loaded at a time; of those asked for meanwhile, the last.
async function show(again = false) {
  wanted = { ...here(), again };
  heading();
  if (S.mode === "video") timeline.draw();
  if (busy) return;
  busy = true;
  try {
    while (wanted && (wanted.again || !same(S.drawn, wanted))) {
      const at = wanted;
      wanted = { ...at, again: false };
      const before = placed;
      const found = await load(at);
      if (before !== placed && same(S.drawn, at)) continue; // older than what is shown; the edit's answer shows it again
      const first = !S.drawn || S.drawn.bitmap.width !== found.bitmap.width || S.drawn.bitmap.height !== found.bitmap.height;
      S.drawn = found;
      if (first) view.fit();
      redraw();
    }
  } catch (error) {
    emit("error", error);
  } finally {
    busy = false;
  }
}

async function load(at) {
  const n = S.project.keypoints.length;
  if (at.mode === "images") {
    const [bitmap, label] = await Promise.all([
      pictures.get(`image ${at.image}`, () => picture(`/api/images/${at.image}`)), json(`/api/label?image=${at.image}`),
    ]);
    const predictions = Object.fromEntries(Object.entries(label.predictions).map(([m, points]) => [m, points.map((p) => p.map((v) => (v === null ? NaN : v)))]));
    return { ...at, bitmap, label, predictions };
  }
  const models = Object.keys(S.facts.models);
  const labeled = S.labeled.includes(at.frame);
  const [bitmap, label, ...points] = await Promise.all([
    pictures.get(`${at.video} ${at.frame}`, () => picture(`/api/videos/${at.video}/frames/${at.frame}`)),
    labeled ? json(`/api/label?video=${at.video}&frame=${at.frame}`) : { pose: null, image: null },
    ...models.map((m) => poses(at.video, m, at.frame, n)),
  ]);
  return { ...at, bitmap, label, predictions: Object.fromEntries(models.map((m, i) => [m, points[i]])) };
}

function redraw() {
  view.draw();
  drawKeypoints();
  drawEdits();
  badge();
  const canvas = element("canvas");
  canvas.dataset.mode = S.drawn ? S.drawn.mode : "";
  canvas.dataset.frame = S.drawn && S.drawn.mode === "video" ? S.drawn.frame : "";
  canvas.dataset.image = S.drawn && S.drawn.mode === "images" ? S.drawn.image : "";
  canvas.dataset.labeled = S.drawn && S.drawn.label.pose ? "yes" : "no";
  canvas.dataset.version = S.session.version;
}

function heading() {
  const images = S.mode === "images";
  const row = S.rows.findIndex((r) => r.image === S.image);
  element("place-name").textContent = images ? "Labeled frame" : "Frame";
  if (document.activeElement !== element("place")) element("place").value = images ? row + 1 : S.frame;
  element("count").textContent = images ? `of ${S.rows.length}` : S.facts ? `of 0 – ${S.facts.frames - 1}` : "";
  element("clock").textContent = !images && S.facts ? `${(S.frame / S.facts.fps).toFixed(2)} s` : "";
}

function badge() {
  const { label, mode } = S.drawn;
  const box = element("badge");
  const edit = S.session.frames.find((f) => f.image === label.image);
  const unsaved = edit && !edit.saved;
  box.className = label.conflict ? "conflict" : label.pose ? (unsaved ? "changed" : "labeled") : "";
  box.textContent = label.conflict
    ? "Changed in the label file by another program too"
    : !label.pose ? (mode === "video" ? "Prediction, not in the labels" : "Not labeled")
      : unsaved ? (label.added ? "Added to the labels, not saved" : "Labels corrected, not saved") : "In the labels";
  banner();
}

function banner() {
  const box = element("banner");
  const label = S.drawn && S.drawn.label;
  if (label && label.conflict) {
    const keep = (text, which) => {
      const button = document.createElement("button");
      button.textContent = text;
      button.addEventListener("click", () => act("/api/resolve", { image: label.image, keep: which }));
      return button;
    };
    box.replaceChildren("Another program has changed the labels of this frame in the label file since you corrected it. ", keep("Keep my labels", "mine"), " ", keep("Keep the file's", "theirs"));
  } else if (S.session.conflicts) {
    box.textContent = `${S.session.conflicts} frames that you corrected were changed in the label file by another program. Open them from the list of edits and choose; nothing is saved before.`;
  } else {
    const notes = [...(S.project.reason ? [`Labels cannot be edited: ${S.project.reason}`] : []), ...S.project.notes, ...((S.mode === "video" && S.facts && S.facts.notes) || [])];
    box.textContent = notes.join(" ");
  }
  box.hidden = !box.textContent;
}

function go(frame) {
  if (!S.facts) return;
  S.frame = Math.min(S.facts.frames - 1, Math.max(0, frame));
  show();
}

function goRow(step) {
  const row = S.rows.findIndex((r) => r.image === S.image);
  const next = S.rows[Math.min(S.rows.length - 1, Math.max(0, row + step))];
  if (next) goImage(next.image);
}

function goImage(image) {
  S.image = image;
  drawRows();
  show();
}

async function setMode(mode) {
  if (mode === "video" && !S.project.videos.length) return say("There is no video to show.", "bad");
  S.mode = mode;
  playing = false;
  element("tab-video").setAttribute("aria-selected", mode === "video");
  element("tab-images").setAttribute("aria-selected", mode === "images");
  element("timelines").hidden = mode !== "video";
  element("rows").hidden = mode === "video";
  element("video").hidden = mode !== "video";
  element("add").hidden = mode !== "video";
  hint();
  if (mode === "images") {
    S.rows = (await json("/api/labeled")).sort((a, b) => (b.error ?? -1) - (a.error ?? -1));
    if (!S.rows.some((r) => r.image === S.image) && S.rows.length) S.image = S.rows[0].image;
    drawRows();
    if (!S.rows.length) return;
  } else if (!S.facts) {
    return openVideo(S.video);
  }
  await show();
}

async function openVideo(number) {
  S.video = number;
  element("video").value = number;
  say("Opening the video and its tables …");
  try {
    S.facts = await json(`/api/videos/${number}`);
  } catch (error) {
    return emit("error", error);
  }
  S.labeled = S.facts.labeled;
  S.frame = Math.min(S.frame, S.facts.frames - 1);
  if (!(S.active in S.facts.models)) S.active = Number(Object.keys(S.facts.models)[0] || 0);
  drawModels();
  const most = Math.max(8, Math.floor(48e6 / (S.facts.width * S.facts.height)));
  pictures = new Recent(Math.min(240, most), (bitmap) => bitmap.close());
  timeline.build();
  hint();
  await show(true);
}

// An edit: what the server answers becomes what is shown.
function act(path, body, done = "") {
  if (!S.project.editable) return say(`Labels cannot be edited. ${S.project.reason}`, "bad");
  waiting += 1;
  turn = turn.then(() => send(path, body, done)).finally(() => { waiting -= 1; });
  return turn;
}

async function send(path, body, done) {
  try {
    const answer = await post(path, body);
    S.session = answer.state;
    if (waiting === 1 || path.endsWith("do")) await follow(answer.where, path.endsWith("do"));
    if (done) say(done, "good");
    return answer;
  } catch (error) {
    emit("error", error);
    await follow(null, false).catch(() => show(true));
  }
}

async function follow(where, jump) {
  const video = S.mode === "video" && S.facts;
  if (video) S.labeled = (await json(`/api/videos/${S.video}`)).labeled;
  if (where && jump && where.video !== undefined && video && where.video === S.video) S.frame = where.frame;
  else if (where && jump && where.video !== undefined && video) return openAt(where);
  else if (where && jump) { S.image = where.image; if (S.mode !== "images") return setMode("images"); }
  if (S.mode === "images") drawRows();
  await show(true);
}

async function openAt(where) {
  S.frame = where.frame;
  await openVideo(where.video);
}

const start = () => ({ model: Number(S.active), floor: S.floor });

function edit(keypoint, x, y, visibility) {
  const points = S.drawn.label.pose || S.drawn.predictions[S.active];
  if (S.project.editable && points && x !== null) { // shown at once, so that the next edit goes on from here
    points[keypoint] = [x, y, S.drawn.label.pose ? visibility : 1];
    placed += 1;
    view.draw();
  }
  return act("/api/edit", { ...placeOf(S.drawn), ...start(), keypoint, x, y, visibility });
}

function mark(visibility) {
  if (S.selected === null) return say("Select a point first: click it, or press Tab.", "bad");
  const point = view.editable()[S.selected];
  const pose = S.drawn.label.pose;
  const back = visibility === 1 && pose && pose[S.selected][2] === 1 && point;
  if (back) return edit(S.selected, point[0], point[1], 2);
  const [x, y] = point && visibility ? point : [null, null];
  return edit(S.selected, x, y, visibility);
}

function nudge(dx, dy) {
  const point = S.selected === null ? null : view.editable()[S.selected];
  if (!point) return say("Select a point first: click it, or press Tab.", "bad");
  const pose = S.drawn.label.pose;
  return edit(S.selected, point[0] + dx, point[1] + dy, pose ? pose[S.selected][2] || 2 : 2);
}

async function save() {
  const answer = await act("/api/save", {});
  if (!answer) return;
  if (answer.notes.length) say(answer.notes.join(" "), "bad");
  else if (answer.saved) say(`Saved ${answer.saved} frame${answer.saved > 1 ? "s" : ""} into ${answer.files.join(", ")}.`, "good");
}

async function step(which) {
  const answer = await act(`/api/${which}`, {});
  if (answer && answer.what) say(`${which === "undo" ? "Undone" : "Done again"}: ${answer.what}.`, "good");
}

function remove() {
  if (S.drawn.label.added) act("/api/remove", { image: S.drawn.label.image }, "Taken out of the labels again.");
  else say("Only frames that were added here can be taken out.", "bad");
}

function add() {
  if (S.drawn.label.pose) return say("This frame is in the labels already.");
  act("/api/add", { ...placeOf(S.drawn), ...start() }, "Added, with the prediction as labels: correct what is wrong.");
}

function jump(direction) {
  if (S.mode === "images") return goRow(direction);
  const frame = timeline.peak(direction);
  if (frame === null) say(direction > 0 ? "No further peak of this line." : "No earlier peak of this line.");
  else go(frame);
}

function jumpLabeled(direction) {
  const found = direction > 0 ? S.labeled.find((f) => f > S.frame) : S.labeled.findLast((f) => f < S.frame);
  if (found === undefined) say("No other labeled frame of this video in that direction.");
  else go(found);
}

function select(keypoint) {
  if (S.selected === keypoint) return;
  S.selected = keypoint;
  if (S.drawn) { view.draw(); drawKeypoints(); }
  if (S.mode === "video" && S.facts) timeline.load();
}

function selectNext(direction) {
  const n = S.project.keypoints.length;
  select(S.selected === null ? (direction > 0 ? 0 : n - 1) : (S.selected + direction + n) % n);
}

async function play() {
  playing = !playing && S.mode === "video";
  while (playing && S.frame < S.facts.frames - 1) {
    const began = performance.now();
    S.frame += 1;
    await show();
    await new Promise((next) => setTimeout(next, Math.max(0, 1000 / Math.min(30, S.facts.fps) - (performance.now() - began))));
  }
  playing = false;
}

function toggle(model) {
  if (!(model in S.project.models)) return;
  S.shown[model] = !S.shown[model];
  const first = Object.keys(S.shown).find((m) => S.shown[m]);
  S.active = Number(S.shown[S.active] ? S.active : first ?? S.active);
  drawModels();
  if (S.drawn) redraw();
  timeline.draw();
}

const move = (video, images) => () => (S.mode === "video" ? video() : images());
const COMMANDS = {
  ArrowLeft: move(() => go(S.frame - 1), () => goRow(-1)), ArrowRight: move(() => go(S.frame + 1), () => goRow(1)),
  "Shift+ArrowLeft": move(() => go(S.frame - 10), () => goRow(-10)), "Shift+ArrowRight": move(() => go(S.frame + 10), () => goRow(10)),
  ArrowUp: move(() => {}, () => goRow(-1)), ArrowDown: move(() => {}, () => goRow(1)),
  PageUp: move(() => go(S.frame - 100), () => goRow(-1)), PageDown: move(() => go(S.frame + 100), () => goRow(1)),
  Home: move(() => go(0), () => goRow(-1e9)), End: move(() => go(1e12), () => goRow(1e9)),
  " ": play, ",": () => jump(-1), ".": () => jump(1), t: timeline.next, "[": () => jumpLabeled(-1), "]": () => jumpLabeled(1),
  "Shift+<": () => timeline.stretch(1.6), "Shift+>": () => timeline.stretch(0.6), "<": () => timeline.stretch(1.6),
  g: () => { element("place").focus(); element("place").select(); },
  Tab: () => selectNext(1), "Shift+Tab": () => selectNext(-1), Escape: () => select(null),
  "Alt+ArrowLeft": () => nudge(-0.5, 0), "Alt+ArrowRight": () => nudge(0.5, 0), "Alt+ArrowUp": () => nudge(0, -0.5), "Alt+ArrowDown": () => nudge(0, 0.5),
  o: () => mark(1), x: () => mark(0), Delete: () => mark(0), Backspace: () => mark(0), a: () => S.mode === "video" && add(), r: remove,
  "Ctrl+z": () => step("undo"), "Ctrl+y": () => step("redo"), "Ctrl+Shift+z": () => step("redo"), "Ctrl+s": save,
  "+": () => view.zoom(1.25), "Shift++": () => view.zoom(1.25), "=": () => view.zoom(1.25), "-": () => view.zoom(0.8),
  0: () => { view.fit(); view.draw(); }, m: () => { S.overlay = !S.overlay; view.draw(); say(S.overlay ? "Predictions are shown." : "Predictions are hidden; M shows them."); },
  v: () => setMode(S.mode === "video" ? "images" : "video"), "Shift+?": () => element("help").showModal(), "?": () => element("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (element("help").open || !S.project || event.isComposing) return;
  const target = event.target instanceof Element ? event.target : document.body;
  if (target.matches("input:not([type=range]):not([type=checkbox]), select") && !(event.ctrlKey || event.metaKey)) return;
  if (target.matches("button") && ["Enter", " ", "Tab"].includes(event.key)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const name = `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${event.shiftKey ? "Shift+" : ""}${key}`;
  const command = COMMANDS[name] || (/^[1-9]$/.test(name) ? () => toggle(Number(name) - 1) : null);
  if (!command || (key === "Tab" && document.activeElement !== element("canvas") && document.activeElement !== document.body)) return;
  event.preventDefault();
  if (key !== " ") playing = playing && key.startsWith("Arrow") === false;
  command();
});

function buttons() {
  const press = { add, save, "help-open": () => element("help").showModal(), undo: () => step("undo"), redo: () => step("redo"), occlude: () => mark(1), hide: () => mark(0), "tab-video": () => setMode("video"), "tab-images": () => setMode("images") };
  for (const [id, does] of Object.entries(press)) {
    element(id).addEventListener("click", () => { does(); element("canvas").focus(); });
  }
  element("video").addEventListener("change", (event) => { S.frame = 0; openVideo(Number(event.target.value)); element("canvas").focus(); });
  element("place").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    const number = Number(event.target.value);
    element("canvas").focus();
    if (event.key === "Escape" || !Number.isInteger(number)) return heading();
    if (S.mode === "video") go(number);
    else if (S.rows[number - 1]) goImage(S.rows[number - 1].image);
    event.stopPropagation();
  });
  element("floor").addEventListener("input", (event) => {
    S.floor = Number(event.target.value);
    element("floor-value").textContent = S.floor.toFixed(2);
    view.draw();
  });
}

on("go", go);
on("image", goImage);
on("select", select);
on("toggle", toggle);
on("move", ({ keypoint, at, visibility }) => edit(keypoint, at[0], at[1], visibility));
on("visit", async (place) => {
  if (place.video === undefined) { S.image = place.image; await setMode("images"); return; }
  S.frame = place.frame;
  if (S.mode !== "video" || place.video !== S.video || !S.facts) { S.mode = "video"; await openVideo(place.video); await setMode("video"); } else show();
});
on("error", (error) => say(error.message, "bad"));

async function watch() {
  if (document.hidden || !S.project.editable) return;
  try {
    const state = await json("/api/state");
    if (state.version === S.session.version) return;
    S.session = state;
    if (state.changed) say("The label file was changed by another program; its labels were read again.", "good");
    await follow(null, false);
  } catch (error) { emit("error", error); }
}

async function begin() {
  if (location.search) history.replaceState(null, "", "/"); // the token is a cookie now
  S.labeled = [];
  S.project = await json("/api/project");
  S.project.keypoints.forEach((name, k) => { S.project.colors[k] ||= [255, 255, 255]; });
  S.project.models.forEach((_, m) => { S.shown[m] = true; });
  document.title = `${S.project.models.map((m) => m.name).join(", ")} · lpose review`;
  for (const [number, video] of S.project.videos.entries()) element("video").append(new Option(video.name, number));
  for (const id of ["add", "undo", "redo", "save", "occlude", "hide"]) element(id).disabled = !S.project.editable;
  if (!S.project.occluded) element("occlude").title = "This project's layout keeps no visibility: an occluded point is saved as an ordinary label (o)";
  buttons();
  buildHelp();
  drawModels();
  if (S.project.editable) S.session = await json("/api/state");
  await setMode(S.project.videos.length ? "video" : "images");
  element("canvas").focus();
  setInterval(watch, 4000);
}

begin().catch((error) => emit("error", error));
