// The dials, made from the settings of the server: a setting that is new there appears here by itself.

import { byId, change, make, on, state } from "./state.js";

const ELSEWHERE = ["size", "style_weights"]; // asked for under "Take it home", and beside the styles

export function showDials() {
  const settings = state.options.settings.filter((setting) => !ELSEWHERE.includes(setting.name));
  const first = settings.filter((setting) => setting.first !== null).sort((a, b) => a.first - b.first);
  byId("dials").replaceChildren(...first.map(dial));
  byId("more-dials").replaceChildren(...settings.filter((setting) => setting.first === null).map(dial));
  byId("defaults").addEventListener("click", () => {
    change({ settings: {} });
    showAll();
  });
  showAll();
}

const valueOf = (setting) => state.settings[setting.name] ?? setting.default;

function set(setting, value) {
  const settings = { ...state.settings };
  if (JSON.stringify(value) === JSON.stringify(setting.default)) delete settings[setting.name];
  else settings[setting.name] = value;
  change({ settings });
}

let shows = [];
const showAll = () => shows.forEach((show) => show());

function dial(setting) {
  const id = `dial-${setting.name}`;
  const about = make("span", { class: "hint", id: `${id}-help` }, setting.help);
  const shared = { id, "aria-describedby": about.id, "data-setting": setting.name };
  const parts = control(setting, shared);
  const name = make("label", { for: id }, setting.label);
  if (setting.kind === "bool") name.prepend(parts.shift(), " ");
  return make("div", { class: "dial" }, name, ...parts, about);
}

function control(setting, shared) {
  if (setting.kind === "bool") return box(setting, shared);
  if (setting.choices.length) return choice(setting, shared);
  if (setting.list) return list(setting, shared);
  if (setting.high - setting.low <= 64 && !setting.optional) return slider(setting, shared);
  return number(setting, shared);
}

function box(setting, shared) {
  const input = make("input", { ...shared, type: "checkbox", change: () => set(setting, input.checked) });
  shows.push(() => (input.checked = valueOf(setting)));
  return [input];
}

function choice(setting, shared) {
  const options = setting.choices.map((text) => make("option", { value: text }, text));
  const input = make("select", { ...shared, change: () => set(setting, input.value) }, ...options);
  shows.push(() => (input.value = valueOf(setting)));
  return [input];
}

function slider(setting, shared) {
  const span = setting.high - setting.low;
  const step = setting.kind === "int" || span > 4 ? 1 : span > 1 ? 0.05 : 0.01;
  const shown = make("output", { for: shared.id });
  const show = () => (shown.textContent = Number(input.value).toFixed(step < 1 ? 2 : 0));
  const turn = () => {
    show();
    set(setting, Number(input.value));
  };
  const input = make("input", { ...shared, type: "range", min: setting.low, max: setting.high, step, input: turn });
  shows.push(() => {
    input.value = valueOf(setting);
    show();
  });
  return [input, shown];
}

function number(setting, shared) {
  const input = make("input", {
    ...shared,
    type: "number",
    min: setting.low,
    max: setting.high,
    step: setting.kind === "int" ? 1 : "any",
    placeholder: setting.optional ? "automatic" : null,
    change: () => {
      const good = input.checkValidity() && (input.value !== "" || setting.optional);
      input.setAttribute("aria-invalid", !good);
      if (good) set(setting, input.value === "" ? null : Number(input.value));
    },
  });
  shows.push(() => (input.value = valueOf(setting) ?? ""));
  if (setting.name !== "seed") return [input];
  const another = () => {
    input.value = valueOf(setting) + 1;
    input.dispatchEvent(new Event("change"));
  };
  return [input, make("button", { type: "button", id: "another", click: another }, "Another arrangement")];
}

function list(setting, shared) {
  const input = make("input", {
    ...shared,
    type: "text",
    inputmode: "decimal",
    change: () => {
      const values = input.value.split(",").map((part) => Number(part.trim()));
      const good = values.every((value) => value >= setting.low && value <= setting.high);
      input.setAttribute("aria-invalid", !good);
      if (good) set(setting, values);
    },
  });
  shows.push(() => (input.value = valueOf(setting).join(", ")));
  return [input];
}

/** The parts of "Take it home" and the size of the preview. */
export function showSizes() {
  const { preview, formats } = state.options;
  const sides = [256, 384, 512, 768].filter((side) => side >= preview.low && side <= preview.high);
  const select = byId("preview-side");
  select.replaceChildren(...sides.map((side) => make("option", { value: side }, `${side} pixels`)));
  select.value = state.previewSide = preview.side;
  select.addEventListener("change", () => change({ previewSide: Number(select.value) }));
  const format = byId("format");
  format.replaceChildren(...formats.map((name) => make("option", { value: name }, name.toUpperCase())));
  format.addEventListener("change", () => change({ format: format.value }));
  const size = byId("final-size");
  size.max = state.options.settings.find((setting) => setting.name === "size").high;
  size.addEventListener("change", () => {
    const good = size.checkValidity();
    size.setAttribute("aria-invalid", !good);
    if (good) change({ finalSize: size.value === "" ? null : Number(size.value) });
  });
  on("photo", () => {
    size.placeholder = state.photo ? `${Math.max(...state.photo.size)}, as the photograph` : "as the photograph";
  });
}
