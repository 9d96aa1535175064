// The brush: strokes over a picture, which become masks. How far to paint each place, and which parts belong together.
// A layer is a list of strokes, so that undo is to draw one stroke less.

import { pictureUrl, send } from "./api.js";
import { fitted, showPhoto, showPicture } from "./stage.js";
import { byId, change, make, on, state } from "./state.js";

const SIDE = 1024; // long side of a mask in pixels, unless the picture is smaller

// `data` is the colour in the mask, `show` the colour over the picture; no `show` uncovers the picture
const STRENGTHS = [
  { name: "Keep the photograph", data: "#000000", show: "#d1007a" },
  { name: "Half painted", data: "#808080", show: "#e58ac0" },
  { name: "Painted", data: "#ffffff" },
];
const REGIONS = [
  { name: "Red", data: "#ff0000", show: "#ff0000" },
  { name: "Blue", data: "#0000ff", show: "#0000ff" },
  { name: "Yellow", data: "#ffff00", show: "#ffff00" },
  { name: "The rest", data: "#808080" },
];
const KINDS = {
  strength: { colours: STRENGTHS, ground: "#ffffff" },
  regions: { colours: REGIONS, ground: "#808080" },
};

const layers = new Map(); // by kind and picture: {kind, picture, size, strokes, undone, id}
const brush = { on: false, target: null, colour: 0, width: 60, soft: 8, stroke: null, cursor: null };

export function showBrush() {
  const { strength_mask: strength, regions } = state.options.abilities;
  byId("brush-panel").hidden = !strength && !regions;
  if (!strength && !regions) return;
  byId("brush-on").addEventListener("change", () => {
    brush.on = byId("brush-on").checked;
    byId("brush-tools").hidden = !brush.on;
    chooseTarget(brush.on ? targets()[0] : null);
  });
  byId("brush-size").addEventListener("input", () => {
    brush.width = Number(byId("brush-size").value);
    byId("brush-width").textContent = brush.width;
    draw();
  });
  byId("brush-soft").addEventListener("change", () => {
    brush.soft = Number(byId("brush-soft").value);
    byId("brush-softness").textContent = brush.soft;
    if (brush.target) changed(layerOf(brush.target));
  });
  byId("undo").addEventListener("click", () => move("strokes", "undone"));
  byId("redo").addEventListener("click", () => move("undone", "strokes"));
  byId("clear").addEventListener("click", () => {
    const layer = brush.target && layerOf(brush.target);
    if (layer) edit(layer, () => layer.strokes.push({ clear: true }));
  });
  on("photo chosen", () => brush.on && chooseTarget(targets()[0]));
  takePointer();
  takeKeys();
}

// ----------------------------------------------------------------------------------------------------- the layers

/** What can be painted on: [{kind, picture, name}]. */
function targets() {
  const { strength_mask: strength, regions } = state.options.abilities;
  if (!state.photo) return [];
  const all = [];
  if (strength) all.push({ kind: "strength", picture: state.photo.id, name: "How far to paint" });
  if (!regions) return all;
  all.push({ kind: "regions", picture: state.photo.id, name: "Parts of the photograph" });
  for (const { id } of state.chosen) {
    const name = state.styles.find((style) => style.id === id)?.name ?? "style";
    all.push({ kind: "regions", picture: id, name: `Parts of ${name}` });
  }
  return all;
}

const keyOf = ({ kind, picture }) => `${kind} ${picture}`;

function layerOf(target) {
  const key = keyOf(target);
  if (!layers.has(key)) {
    const size = target.picture === state.photo?.id ? fitted(state.photo.size, SIDE) : null; // a style's comes with its picture
    layers.set(key, { ...target, size, strokes: [], undone: [], id: null });
  }
  return layers.get(key);
}

const covered = (layer) => layer?.strokes.length && !layer.strokes.at(-1).clear;

async function chooseTarget(target) {
  brush.target = target;
  byId("mask").hidden = !target;
  byId("mask").classList.toggle("active", Boolean(target));
  drawTools();
  if (target && target.picture !== state.photo.id) {
    layerOf(target).size = fitted(await showPicture(pictureUrl(target.picture, SIDE)), SIDE);
  } else {
    showPhoto();
  }
  draw();
}

function drawTools() {
  const choices = targets().map((target, index) => radio("target", target.name, keyOf(target) === keyOf(brush.target ?? {}), () => chooseTarget(targets()[index])));
  byId("brush-targets").replaceChildren(byId("brush-targets").firstElementChild, ...choices);
  const colours = brush.target ? KINDS[brush.target.kind].colours : [];
  byId("soft").hidden = brush.target?.kind !== "strength"; // the edge of a part is where one colour meets another
  brush.colour = Math.min(brush.colour, Math.max(0, colours.length - 1));
  const tools = colours.map((colour, index) => radio("colour", colour.name, index === brush.colour, () => (brush.colour = index), colour.data));
  byId("brush-colours").replaceChildren(byId("brush-colours").firstElementChild, ...tools);
}

function radio(name, text, checked, choose, swatch) {
  const input = make("input", { type: "radio", name: `brush-${name}`, checked, change: choose });
  const label = make("label", {}, input, " ");
  if (swatch) {
    const dot = make("span", { class: "swatch" });
    dot.style.background = swatch;
    label.append(dot, " ");
  }
  label.append(text);
  return label;
}

/** Change a layer; its mask must be sent again. */
function edit(layer, work) {
  work();
  layer.undone = [];
  changed(layer);
}

function changed(layer) {
  layer.id = null;
  draw();
  change({ masks: null });
}

function move(from, to) {
  const layer = brush.target && layerOf(brush.target);
  if (!layer?.[from].length) return;
  layer[to].push(layer[from].pop());
  changed(layer);
}

// -------------------------------------------------------------------------------------------------------- drawing

function draw() {
  const layer = brush.target && layerOf(brush.target);
  if (!layer?.size) return;
  const canvas = byId("mask");
  [canvas.width, canvas.height] = layer.size;
  const context = canvas.getContext("2d");
  for (const stroke of layer.strokes) paintStroke(context, stroke, layer, true);
  if (brush.stroke) paintStroke(context, brush.stroke, layer, true);
  if (brush.cursor && document.activeElement === byId("view")) drawCursor(context);
  byId("undo").disabled = !layer.strokes.length;
  byId("redo").disabled = !layer.undone.length;
}

/** Draw a stroke: as people see it over the picture, or as data of the mask. */
function paintStroke(context, stroke, layer, seen) {
  const { colours, ground } = KINDS[layer.kind];
  const [width, height] = layer.size;
  if (stroke.clear) {
    if (seen) return context.clearRect(0, 0, width, height);
    context.fillStyle = ground;
    return context.fillRect(0, 0, width, height);
  }
  const colour = colours[stroke.colour];
  context.globalCompositeOperation = seen && !colour.show ? "destination-out" : "source-over";
  context.strokeStyle = seen ? (colour.show ?? "#000000") : colour.data;
  context.lineWidth = stroke.width;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  context.moveTo(...stroke.points[0]);
  for (const [x, y] of stroke.points) context.lineTo(x + 0.01, y); // a line without length would not be drawn
  context.stroke();
  context.globalCompositeOperation = "source-over";
}

function drawCursor(context) {
  context.lineWidth = 3;
  for (const [colour, more] of [["#000000", 0], ["#ffffff", 3]]) {
    context.strokeStyle = colour;
    context.beginPath();
    context.arc(...brush.cursor, brush.width / 2 + more, 0, 2 * Math.PI);
    context.stroke();
  }
}

// ------------------------------------------------------------------------------------------------ pointer and keys

function takePointer() {
  const canvas = byId("mask");
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * canvas.width, ((event.clientY - box.top) / box.height) * canvas.height];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    brush.stroke = { points: [place(event)], colour: brush.colour, width: brush.width };
    draw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!brush.stroke) return;
    brush.stroke.points.push(...event.getCoalescedEvents().map(place), place(event));
    draw();
  });
  const end = () => {
    const stroke = brush.stroke;
    brush.stroke = null;
    if (stroke) edit(layerOf(brush.target), () => layerOf(brush.target).strokes.push(stroke));
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
}

function takeKeys() {
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  byId("view").addEventListener("keydown", (event) => {
    const layer = brush.target && layerOf(brush.target);
    if (!layer?.size) return;
    if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) {
      move(...(event.shiftKey ? ["undone", "strokes"] : ["strokes", "undone"]));
    } else if (steps[event.key]) {
      const step = Math.max(4, brush.width / 3);
      const from = brush.cursor ?? layer.size.map((side) => side / 2);
      brush.cursor = from.map((value, axis) => Math.min(layer.size[axis], Math.max(0, value + step * steps[event.key][axis])));
      draw();
    } else if (event.key === " ") {
      brush.cursor ??= layer.size.map((side) => side / 2);
      edit(layer, () => layer.strokes.push({ points: [brush.cursor], colour: brush.colour, width: brush.width }));
    } else {
      return;
    }
    event.preventDefault();
  });
}

// ------------------------------------------------------------------------------------------------------- the masks

/** The ids of the masks for these photographs: {strength, regions, styles}. Several photographs have none. */
export async function masksFor(photos) {
  const none = { strength: "", regions: "", styles: {} };
  if (photos.length !== 1) return none;
  const strength = await sent(layers.get(`strength ${photos[0].id}`));
  const regions = await sent(layers.get(`regions ${photos[0].id}`));
  if (!regions) return { ...none, strength };
  const styles = {};
  for (const { id } of state.chosen) styles[id] = await sent(layers.get(`regions ${id}`));
  return { strength, regions, styles };
}

/** The id of a layer's mask, which is sent if it is new; "" where nothing is painted. */
async function sent(layer) {
  if (!covered(layer) || !layer.size) return "";
  if (layer.id === null) {
    const canvas = dataOf(layer);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    layer.id = (await send(blob, "mask.png")).id;
  }
  return layer.id;
}

/** The mask itself, on a canvas. */
function dataOf(layer) {
  const [canvas, context] = newCanvas(layer.size);
  for (const stroke of [{ clear: true }, ...layer.strokes]) paintStroke(context, stroke, layer, false);
  if (layer.kind !== "strength" || !brush.soft) return canvas;
  const [softened, over] = newCanvas(layer.size);
  over.drawImage(canvas, 0, 0); // under the blur, which is transparent towards the border
  over.filter = `blur(${brush.soft}px)`;
  over.drawImage(canvas, 0, 0);
  return softened;
}

function newCanvas([width, height]) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  return [canvas, canvas.getContext("2d")];
}

