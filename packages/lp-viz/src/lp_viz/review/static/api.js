// Requests to the server, and small caches of what it answered.

const SILENT = "The server does not answer; start lpose review again. Your edits are in its journal.";

// Browsers have different words for a server that is not there.
const ask = (path, options) => fetch(path, options).catch(() => { throw new Error(SILENT); });

export async function get(path) {
  return checked(await ask(path));
}

export async function post(path, body) {
  const answer = await ask(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body || {}),
  });
  return (await checked(answer)).json();
}

async function checked(answer) {
  if (answer.ok) return answer;
  const text = await answer.text();
  let error = text || `The server answered ${answer.status}.`;
  try { error = JSON.parse(text).error || error; } catch { /* plain words */ }
  throw new Error(error);
}

export async function json(path) {
  return (await get(path)).json();
}

// Keeps the `most` last used promises; one that fails is forgotten.
export class Recent {
  constructor(most, drop = () => {}) { this.most = most; this.drop = drop; this.items = new Map(); }

  get(key, make) {
    let item = this.items.get(key);
    if (item) {
      this.items.delete(key);
    } else {
      item = make();
      item.catch(() => this.items.delete(key));
    }
    this.items.set(key, item);
    if (this.items.size > this.most) {
      const [oldest, dropped] = this.items.entries().next().value;
      this.items.delete(oldest);
      dropped.then(this.drop, () => {});
    }
    return item;
  }

  clear() { this.items.clear(); }
}

export async function picture(path) {
  return createImageBitmap(await (await get(path)).blob());
}

const CHUNK = 256;
const chunks = new Recent(64);

// [x, y, confidence] of every keypoint of one frame.
export async function poses(video, model, frame, keypoints) {
  const start = Math.floor(frame / CHUNK) * CHUNK;
  const data = await chunks.get(`${video}/${model}/${start}`, async () =>
    new Float32Array(await (await get(`/api/videos/${video}/poses/${model}?start=${start}&count=${CHUNK}`)).arrayBuffer()));
  const from = (frame - start) * keypoints * 3;
  const points = [];
  for (let k = 0; k < keypoints; k++) points.push(Array.from(data.slice(from + 3 * k, from + 3 * k + 3)));
  return points;
}
