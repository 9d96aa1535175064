// Previews on every change, and pictures in full size on demand.

import { remove, run } from "./api.js";
import { masksFor } from "./brush.js";
import { showFrame, showPainting } from "./stage.js";
import { byId, calm, complain, make, on, state } from "./state.js";

const STAGES = {
  relu4_1: "large shapes", relu3_1: "shapes", relu2_1: "strokes", relu1_1: "fine strokes", decode: "colours", refine: "sharpening",
};

const preview = { job: null, abort: null, wanted: false, busy: false };

export function showPaint() {
  on("photo chosen settings previewSide masks", wantPreview);
  byId("stop").addEventListener("click", () => {
    preview.wanted = false;
    if (preview.job) remove(`/api/jobs/${preview.job}`);
  });
  byId("paint").addEventListener("click", () => paintFull([state.photo]));
  byId("paint-all").addEventListener("click", () => paintFull(state.photos));
}

/** What is to be painted, as the server wants it. */
export async function order(photos, kind) {
  const settings = { ...state.settings };
  if (kind === "final" && state.finalSize) settings.size = state.finalSize;
  const masks = await masksFor(photos);
  const styles = state.chosen.map((style) => ({ ...style, regions: masks.styles[style.id] ?? "" }));
  const shared = { kind, contents: photos.map((photo) => photo.id), styles, settings };
  return { ...shared, strength_mask: masks.strength, regions: masks.regions };
}

function wantPreview() {
  preview.wanted = Boolean(state.photo && state.chosen.length);
  if (!preview.wanted) return;
  preview.abort?.abort(); // the server stops the older preview when the newer one comes
  if (!preview.busy) paintPreview();
}

/** One request at a time: changes that come in the meantime make one more. */
async function paintPreview() {
  preview.busy = true;
  while (preview.wanted) {
    preview.wanted = false;
    const began = performance.now();
    preview.abort = new AbortController();
    const signal = preview.abort.signal;
    try {
      const job = { ...(await order([state.photo], "preview")), side: state.previewSide, format: "jpg" };
      const told = (now) => !signal.aborted && showState(now);
      const done = await run(job, { told, frame: (url) => !signal.aborted && showFrame(url), signal });
      if (signal.aborted) continue;
      if (done.state === "stopped") showStatus("Stopped.");
      if (done.state === "done") await finish(done, began);
    } catch (error) {
      await recover(error);
    }
  }
  preview.busy = false;
}

async function finish(done, began) {
  await showPainting(done.result, done.items[0].size);
  calm();
  showStatus(`Preview, ${done.items[0].size.join(" × ")} pixels.`);
  byId("stage").dataset.painted = String(Number(byId("stage").dataset.painted ?? 0) + 1); // what tests wait for
  byId("stage").dataset.milliseconds = Math.round(performance.now() - began);
}

async function recover(error) {
  showStatus("");
  if (error.status === 429 || error.status === 503) {
    preview.wanted = true;
    await new Promise((resolve) => setTimeout(resolve, 1000 * (error.wait || 1)));
    return;
  }
  complain(error);
}

function showState(job) {
  preview.job = job.id;
  const open = job.state === "waiting" || job.state === "painting";
  byId("progress").hidden = byId("stop").hidden = !open;
  byId("progress").value = job.fraction;
  if (open) byId("status").textContent = described(job);
}

function showStatus(text) {
  preview.job = null;
  byId("progress").hidden = byId("stop").hidden = true;
  byId("status").textContent = text;
}

function described(job) {
  if (job.state === "waiting" && job.ahead) return `Waiting; ${job.ahead} ${job.ahead === 1 ? "picture comes" : "pictures come"} first.`;
  const what = STAGES[job.stage] ? `Painting: ${STAGES[job.stage]}` : "Painting";
  return job.seconds_left >= 1 ? `${what}, ${remaining(job.seconds_left)} left.` : `${what}…`;
}

const remaining = (seconds) => (seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`);

// ------------------------------------------------------------------------------------------------------- full size

/** Paint photographs in full size. Each order gets a line with its progress, and at last a link to its file. */
async function paintFull(photos) {
  const line = resultLine(photos);
  try {
    const job = { ...(await order(photos, "final")), format: state.format };
    const done = await run(job, { told: line.told, frame: photos.length === 1 ? line.frame : undefined });
    if (done.state === "stopped") return line.end("Stopped.");
    line.done(done);
    if (photos.length === 1 && photos[0].id === state.photo?.id && state.format !== "tif") {
      await showPainting(done.result, done.items[0].size);
      showStatus(`Full size, ${done.items[0].size.join(" × ")} pixels.`);
    }
  } catch (error) {
    line.end(error.message);
  }
}

function resultLine(photos) {
  const name = photos.length === 1 ? photos[0].name : `${photos.length} photographs`;
  let job = null;
  const shown = new Set();
  const text = make("span", { role: "status" }, `${name}: starting…`);
  const progress = make("progress", { max: 1, value: 0, "aria-label": `Progress of ${name}` });
  const stop = make("button", { type: "button", click: () => job && remove(`/api/jobs/${job}`) }, "Stop");
  const thumbs = make("div", { class: "thumbs" });
  const item = make("li", {}, text, " ", progress, " ", stop, thumbs);
  byId("results").prepend(item);
  return {
    told(state) {
      job = state.id;
      progress.value = state.fraction;
      text.textContent = `${name}: ${described(state)}`;
      state.items.forEach((each, index) => {
        if (each.state !== "done" || shown.has(index) || photos.length === 1) return;
        shown.add(index);
        thumbs.append(make("img", { src: `/api/jobs/${state.id}/thumbnails/${index}`, alt: each.name, title: each.name }));
      });
    },
    frame(url) {
      if (photos[0].id === state.photo?.id) showFrame(url);
    },
    done(state) {
      const failed = state.items.filter((each) => each.error);
      const link = make("a", { href: state.result, download: state.name }, `Download ${state.name}`);
      const size = `${(state.bytes / 2 ** 20).toFixed(1)} MiB`;
      item.replaceChildren(link, ` (${size})`, thumbs);
      const notes = [...state.warnings, ...failed.map((each) => each.error)];
      if (notes.length) item.append(make("ul", {}, ...notes.map((note) => make("li", {}, note))));
    },
    end(message) {
      item.replaceChildren(`${name}: ${message}`);
    },
  };
}

