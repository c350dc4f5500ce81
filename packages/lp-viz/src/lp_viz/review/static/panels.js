// The sidebar, the list of labeled frames, and the help.

import { S, element, emit, make } from "./state.js";
import { colorOf, css, marker, shapeOf } from "./view.js";

export function drawModels() {
  const list = element("models");
  list.replaceChildren(...S.project.models.map((model, m) => {
    const row = make("li");
    const label = make("label", "", "name");
    const check = make("input");
    Object.assign(check, { type: "checkbox", checked: S.shown[m] });
    check.addEventListener("change", () => emit("toggle", m));
    label.append(check, " ", icon(m), ` ${model.name}`);
    label.title = `Predictions of ${model.name}; its key is ${m + 1}`;
    row.append(label);
    if (S.project.models.length > 1 && m === S.active && S.project.editable) {
      const tag = make("span", "→ labels", "tag");
      tag.title = "A frame that you add or correct starts with this model's prediction: the first one shown";
      row.append(tag);
    }
    row.append(make("kbd", String(m + 1)));
    return row;
  }));
  const row = make("li");
  const label = make("span", "", "name");
  label.append(icon(-1), " labels");
  label.title = "Labels are white rings; a dashed ring is an occluded point";
  row.append(label);
  list.append(row);
  element("floor").value = S.floor;
  element("floor-value").textContent = S.floor.toFixed(2);
}

function icon(model) {
  const canvas = make("canvas");
  canvas.width = canvas.height = 32;
  canvas.className = "icon";
  const c = canvas.getContext("2d");
  c.scale(2, 2);
  if (model < 0) {
    c.beginPath(); c.arc(8, 8, 5, 0, 7); c.lineWidth = 2; c.strokeStyle = "#fff"; c.stroke();
    return canvas;
  }
  marker(c, shapeOf(model), 8, 8, 4.5);
  c.fillStyle = c.strokeStyle = css(S.project.models[model].color);
  c.lineWidth = 2;
  if (shapeOf(model) === "cross") c.stroke(); else c.fill();
  return canvas;
}

export function drawKeypoints() {
  const list = element("keypoints");
  const pose = S.drawn && S.drawn.label.pose;
  const predicted = (S.drawn && S.drawn.predictions[S.active]) || [];
  element("keypoint-unit").textContent = pose ? "label · confidence" : "confidence";
  list.replaceChildren(...S.project.keypoints.map((name, k) => {
    const row = make("li");
    const dot = make("span", "", "dot");
    dot.style.setProperty("background", css(S.project.models.length > 1 ? S.project.colors[k] : colorOf(0, k)));
    const flag = pose ? pose[k][2] : 2;
    const sure = predicted[k] && Number.isFinite(predicted[k][2]) ? predicted[k][2].toFixed(2) : "–";
    row.append(dot, make("span", name, "name"));
    if (pose && flag === 1) row.append(make("span", "occluded", "tag"));
    if (pose && flag === 0) row.append(make("span", "not visible", "tag"));
    row.append(make("span", sure, "value"));
    row.title = pose && flag === 0 ? `${name}: click here, then into the picture, to place it` : name;
    row.classList.toggle("selected", S.selected === k);
    row.classList.toggle("off", flag === 0);
    row.addEventListener("click", () => emit("select", S.selected === k ? null : k));
    return row;
  }));
  const chosen = list.children[S.selected];
  if (chosen) chosen.scrollIntoView({ block: "nearest" });
  const can = S.project.editable && S.selected !== null;
  element("occlude").disabled = element("hide").disabled = !can;
}

export function drawEdits() {
  const { frames, dirty, conflicts } = S.session;
  element("edits-count").textContent = frames.length ? `${dirty} of ${frames.length} not saved` : "";
  const rows = frames.map((edit) => {
    const row = make("li");
    const here = S.mode === "video" ? edit.video === S.video && edit.frame === S.frame : edit.image === S.image;
    row.append(make("span", edit.video === undefined ? edit.name.split("/").pop() : `${S.project.videos[edit.video].name} · ${edit.frame}`, "name"));
    row.append(make("span", edit.gone ? "removed" : edit.added ? "added" : "corrected", "tag"));
    row.append(make("span", edit.conflict ? "conflict" : edit.saved ? "saved" : "not saved", `tag ${edit.conflict ? "conflict" : edit.saved ? "saved" : "unsaved"}`));
    row.title = edit.name;
    row.classList.toggle("here", here);
    row.addEventListener("click", () => emit("visit", edit));
    return row;
  });
  element("edits").replaceChildren(...(rows.length ? rows : [make("li", "Frames that you correct or add are listed here.", "quiet")]));
  const save = element("save");
  save.disabled = !dirty || Boolean(conflicts);
  save.textContent = dirty ? `Save ${dirty} frame${dirty > 1 ? "s" : ""}` : "Saved";
  for (const step of ["undo", "redo"]) {
    element(step).disabled = !S.session[step];
    element(step).title = S.session[step] ? `${step === "undo" ? "Undo" : "Redo"}: ${S.session[step]} (Ctrl+${step === "undo" ? "Z" : "Y"})` : `Nothing to ${step}`;
  }
}

export function drawRows() {
  const box = element("rows");
  const most = Math.max(1, ...S.rows.map((row) => row.error || 0));
  const table = make("table");
  const head = make("tr");
  head.append(make("th", "Labeled frame"), make("th", "Furthest prediction from its label"), make("th", "Used for"));
  table.append(head);
  for (const row of S.rows) {
    const line = make("tr");
    const error = make("td");
    if (row.error !== null) {
      const bar = make("span", "", "bar");
      bar.style.setProperty("width", `${Math.round(row.error / most * 220)}px`);
      error.append(bar, `${row.error.toFixed(1)} px  ${row.keypoint}`);
    } else {
      error.textContent = "new";
    }
    line.append(make("td", row.name), error, make("td", { train: "training", unused: "nothing yet" }[row.set] || row.set || "nothing yet"));
    line.classList.toggle("here", row.image === S.image);
    line.addEventListener("click", () => emit("image", row.image));
    table.append(line);
  }
  box.replaceChildren(table);
  const here = table.querySelector(".here");
  if (here) here.scrollIntoView({ block: "nearest" });
}

const KEYS = [
  ["Move in the video", [["← →", "one frame"], ["Shift ← →", "ten frames"], ["PgUp PgDn", "a hundred frames"], ["Home End", "first, last frame"], ["Space", "play, pause"], ["G", "type a frame number"], [", .", "previous, next peak of the chosen line"], ["T", "choose the next line"], ["[ ]", "previous, next labeled frame"], ["< >", "zoom the lines out, in"]]],
  ["Correct", [["drag", "move a point"], ["Tab", "select the next point"], ["Alt ← → ↑ ↓", "move it by half a pixel"], ["O", "occluded: hidden, its place is a guess"], ["X or Delete", "not visible: no label"], ["Shift click", "place the selected point here"], ["A", "add this frame to the labels"], ["R", "take an added frame out again"], ["Ctrl Z", "undo"], ["Ctrl Y", "redo"], ["Ctrl S", "save into the label files"]]],
  ["Look", [["wheel + −", "zoom"], ["drag beside points", "move the picture"], ["0", "whole picture"], ["M", "hide, show predictions"], ["1 2 3 …", "hide, show one model"], ["V", "video or labeled frames"], ["Esc", "select no point"], ["?", "this page"]]],
];

export function buildHelp() {
  const help = element("help");
  help.append(make("h3", "lpose review"));
  help.append(make("p", "Find frames where the predictions are wrong, correct them, and train again on the larger label set. Coloured marks are predictions, the fainter the less sure. White rings are labels. When you drag a predicted point, the frame joins the labels, with the prediction for its other points: look at all of them before you go on."));
  help.append(make("p", "Every edit is kept at once, also if this page or the computer stops. Save writes the edits into the label files; then lpose train uses them."));
  const columns = make("div", "", "columns");
  for (const [title, keys] of KEYS) {
    const block = make("div", "", "block");
    const list = make("dl");
    for (const [key, what] of keys) {
      const name = make("dt");
      name.append(make("kbd", key));
      list.append(name, make("dd", what));
    }
    block.append(make("h4", title), list);
    columns.append(block);
  }
  const close = make("button", "Close (Esc)");
  close.addEventListener("click", () => help.close());
  help.append(columns, make("p"), close);
}
