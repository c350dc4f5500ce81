// What is shown now. Parts tell each other through events.

export const S = {
  project: null, // names, colours, whether labels can be edited
  mode: "video", // or "images"
  video: 0, facts: null, frame: 0,
  image: null, rows: [], // labeled frames, furthest first
  session: { version: 0, dirty: 0, frames: [] },
  shown: {}, active: 0, overlay: true, floor: 0.05,
  selected: null, // a keypoint
  drawn: null, // { bitmap, predictions, label, mode, video, frame, image }
};

const bus = new EventTarget();
export const emit = (name, detail) => bus.dispatchEvent(new CustomEvent(name, { detail }));
export const on = (name, handle) => bus.addEventListener(name, (event) => handle(event.detail));

export const element = (id) => document.getElementById(id);

let timer = 0;
export function say(text, kind = "") {
  const status = element("status");
  status.textContent = text;
  status.className = kind;
  clearTimeout(timer);
  timer = setTimeout(hint, kind === "bad" ? 12000 : 5000);
}

export function hint() {
  const status = element("status");
  status.className = "";
  const first = !S.project || !S.project.editable ? "" : S.mode === "video" ? "Drag a point to correct it: the frame then joins the labels." : "Drag a point to correct its label.";
  const keys = S.mode === "video" ? [[", .", "worst frames"], ["← →", "frames"], ["Space", "play"], ["?", "all keys"]] : [["↑ ↓", "frames of the list"], ["Tab", "next point"], ["?", "all keys"]];
  status.replaceChildren(first, ...keys.flatMap(([key, what]) => ["\u2003", make("kbd", key), ` ${what}`]));
}

export function make(tag, text = "", kind = "") {
  const node = document.createElement(tag);
  if (text !== "") node.textContent = text;
  if (kind) node.className = kind;
  return node;
}
