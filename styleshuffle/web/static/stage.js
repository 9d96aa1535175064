// The stage: the photograph and the painting one over the other, a wipe between them, and zoom.

import { pictureUrl } from "./api.js";
import { byId, on, state } from "./state.js";

// zoom null fits the frame; other: a picture that is not the photograph is shown
const stage = { size: [1, 1], zoom: null, wipe: 50, other: false, painted: null };
const STEPS = [0.125, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8];

export function showStage() {
  on("photo", () => {
    stage.painted = null;
    showPhoto();
  });
  byId("wipe").addEventListener("input", () => wipeTo(Number(byId("wipe").value)));
  byId("fit").addEventListener("click", () => zoomTo(null));
  byId("pixels").addEventListener("click", () => zoomTo(1));
  byId("larger").addEventListener("click", () => zoomTo(STEPS.find((step) => step > scale() * 1.01) ?? 8));
  byId("smaller").addEventListener("click", () => zoomTo(STEPS.findLast((step) => step < scale() * 0.99) ?? 0.125));
  new ResizeObserver(layOut).observe(byId("view"));
  dragDivider();
  wipeTo(stage.wipe);
}

/** Show the photograph, and its painting if there is one already. */
export function showPhoto() {
  stage.other = false;
  byId("painting").hidden = byId("divider").hidden = !stage.painted;
  if (!state.photo) return;
  const size = stage.painted ?? fitted(state.photo.size, 1024);
  byId("photo").src = pictureUrl(state.photo.id, Math.min(4096, Math.max(1024, ...size)));
  setSize(size);
}

/** Show another picture alone; resolves to its size. */
export async function showPicture(url) {
  stage.other = true;
  byId("painting").hidden = byId("divider").hidden = true;
  const photo = byId("photo");
  photo.src = url;
  await photo.decode();
  setSize([photo.naturalWidth, photo.naturalHeight]);
  return stage.size;
}

export const fitted = ([width, height], side) => {
  const factor = Math.min(1, side / Math.max(width, height));
  return [Math.max(1, Math.round(width * factor)), Math.max(1, Math.round(height * factor))];
};

/** Show an unfinished painting, stretched over the photograph. */
export function showFrame(url) {
  const painting = byId("painting");
  painting.src = url;
  painting.alt = "The painting so far";
  painting.hidden = byId("divider").hidden = stage.other;
}

/** Show a finished painting, once it is loaded. `size` is [width, height] in pixels. */
export async function showPainting(url, size) {
  const loaded = new Image();
  loaded.src = url;
  await loaded.decode();
  showFrame(url);
  byId("painting").alt = "The painting";
  stage.painted = size;
  if (!stage.other) showPhoto();
}

function wipeTo(percent) {
  stage.wipe = Math.min(100, Math.max(0, percent));
  byId("wipe").value = stage.wipe;
  byId("painting").style.clipPath = `inset(0 0 0 ${stage.wipe}%)`;
  byId("divider").style.left = `${stage.wipe}%`;
}

function dragDivider() {
  const divider = byId("divider");
  divider.addEventListener("pointerdown", (event) => {
    divider.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  divider.addEventListener("pointermove", (event) => {
    if (!divider.hasPointerCapture(event.pointerId)) return;
    const box = byId("canvas").getBoundingClientRect();
    wipeTo(((event.clientX - box.left) / box.width) * 100);
  });
}

// ------------------------------------------------------------------------------------------------------------ zoom

const ratio = () => window.devicePixelRatio || 1;

/** Pixels of the screen to a pixel of the picture. */
const scale = () => stage.zoom ?? fit();

function fit() {
  const view = byId("view");
  return Math.min(view.clientWidth / stage.size[0], view.clientHeight / stage.size[1]) * ratio();
}

function setSize(size) {
  stage.size = size;
  layOut();
}

function zoomTo(zoom) {
  stage.zoom = zoom;
  byId("fit").setAttribute("aria-pressed", zoom === null);
  byId("pixels").setAttribute("aria-pressed", zoom === 1);
  layOut();
}

function layOut() {
  const [canvas, view] = [byId("canvas"), byId("view")];
  // a wide picture on a narrow screen needs no tall frame
  view.style.height = `${Math.round(Math.max(180, Math.min(innerHeight * 0.56, 736, (view.clientWidth * stage.size[1]) / stage.size[0])))}px`;
  const factor = scale() / ratio();
  canvas.style.width = `${Math.floor(stage.size[0] * factor)}px`;
  canvas.style.height = `${Math.floor(stage.size[1] * factor)}px`;
  canvas.classList.toggle("pixelated", stage.zoom !== null && scale() >= 2);
  byId("zoom").textContent = `${Math.round(scale() * 100)} %`;
}
