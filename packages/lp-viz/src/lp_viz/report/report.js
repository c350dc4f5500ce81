"use strict";
// Values under the mouse, keypoints to tick, time to zoom into. Values are read back out of the paths.

const tip = document.body.appendChild(Object.assign(document.createElement("div"), { id: "tip" }));
const short = (v) => String(Number(v.toPrecision(4)));
const axisOf = (text) => {
  const [low, high, log] = text.split(" ").map(Number);
  return (share) => (log ? low * (high / low) ** share : low + share * (high - low));
};

// "m10 500l1-3" → [[10, 500], [11, 497]]
function pointsOf(path) {
  if (path.points) return path.points;
  let x = 0, y = 0;
  const numbers = (path.getAttribute("d").match(/-?\d+/g) || []).map(Number);
  path.points = [];
  for (let i = 0; i + 1 < numbers.length; i += 2) path.points.push([(x += numbers[i]), (y += numbers[i + 1])]);
  return path.points;
}

// The points of a curve nearest to x: two where each stands for a stretch of frames
function nearest(points, x) {
  let low = 0, high = points.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < x) low = middle;
    else high = middle;
  }
  const at = Math.abs(points[low][0] - x) <= Math.abs(points[high][0] - x) ? points[low][0] : points[high][0];
  return points.slice(Math.max(0, low - 1), high + 2).filter((p) => p[0] === at);
}

// The box of an inner svg is that of what is drawn in it, also where it is cut off: ask the outer one
const unitsAt = (area, event) => {
  const chart = area.ownerSVGElement, box = chart.getBoundingClientRect(), view = area.viewBox.baseVal;
  const x = ((event.clientX - box.left) / box.width) * chart.viewBox.baseVal.width;
  const share = Math.min(1, Math.max(0, (x - area.x.baseVal.value) / area.width.baseVal.value));
  return view.x + share * view.width;
};

function describe(area, x) {
  const units = Number(area.dataset.units), across = axisOf(area.dataset.x), up = axisOf(area.dataset.y);
  const near = Number(area.viewBox.baseVal.width) / 40 + 1;
  const rows = [];
  let place = null;
  for (const path of area.querySelectorAll("path[data-name]:not([hidden])")) {
    const found = pointsOf(path).length ? nearest(pointsOf(path), x) : [];
    if (!found.length || Math.abs(found[0][0] - x) > near) continue;
    place ??= `${area.dataset.what} ${short(across(found[0][0] / units))}`;
    const values = found.map((p) => up(1 - p[1] / 1000)).sort((a, b) => a - b).map(short);
    rows.push(`${path.dataset.name}: ${[...new Set(values)].join(" to ")}`);
  }
  return rows.length ? [place, ...rows].join("\n") : "";
}

function zoom(curves, from, width) {
  for (const area of curves.querySelectorAll(".area")) {
    const units = Number(area.dataset.units), across = axisOf(area.dataset.x);
    area.setAttribute("viewBox", `${from} 0 ${width} 1000`);
    const grid = area.parentNode.querySelector(".across"), texts = grid.querySelectorAll("text");
    const left = area.x.baseVal.value, size = area.width.baseVal.value;
    grid.querySelectorAll("line").forEach((line, i, all) => {
      const share = all.length > 1 ? i / (all.length - 1) : 0;
      for (const name of ["x1", "x2"]) line.setAttribute(name, left + share * size);
      texts[i].setAttribute("x", left + share * size);
      texts[i].textContent = Math.round(across((from + share * width) / units));
    });
  }
}

for (const area of document.querySelectorAll(".area")) {
  const curves = area.closest(".curves");
  const cursor = area.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "path"));
  cursor.setAttribute("class", "cursor");
  let start = null;
  area.addEventListener("pointermove", (event) => {
    const x = unitsAt(area, event), text = describe(area, x);
    cursor.setAttribute("d", start === null ? `M${x} 0V1000` : `M${start} 2H${x}V998H${start}Z`);
    tip.textContent = text;
    tip.style.display = text ? "block" : "none";
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.max(8, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8))}px`;
  });
  area.addEventListener("pointerleave", () => {
    tip.style.display = "none";
    if (start === null) cursor.removeAttribute("d");
  });
  if (!curves) continue;
  area.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    start = unitsAt(area, event);
    area.setPointerCapture(event.pointerId);
  });
  area.addEventListener("pointerup", (event) => {
    const [from, to] = [start, unitsAt(area, event)].sort((a, b) => a - b);
    start = null;
    cursor.removeAttribute("d");
    if (to - from > area.viewBox.baseVal.width / 100 && to - from >= 2) zoom(curves, from, to - from);
  });
  area.addEventListener("dblclick", () => zoom(curves, 0, Number(area.dataset.units)));
}

for (const curves of document.querySelectorAll(".curves")) {
  const boxes = [...curves.querySelectorAll("input[data-k]")];
  const show = (box) => {
    for (const path of curves.querySelectorAll(`path[data-k="${box.dataset.k}"]`)) path.toggleAttribute("hidden", !box.checked);
  };
  boxes.forEach((box) => box.addEventListener("change", () => show(box)));
  boxes.forEach(show); // a browser may remember ticks of an earlier visit
  for (const button of curves.querySelectorAll("button")) {
    button.addEventListener("click", () => boxes.forEach((box) => { box.checked = button.dataset.all === "1"; show(box); }));
  }
}

for (const picture of document.querySelectorAll(".gallery img")) {
  picture.addEventListener("click", () => picture.closest("figure").classList.toggle("large"));
}

addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => (one.open = true)));
