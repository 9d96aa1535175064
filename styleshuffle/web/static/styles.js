// The strip of styles: those of the server and those that were added. One is chosen, or several with weights.

import { get, pictureUrl, remove } from "./api.js";
import { byId, change, make, on, state } from "./state.js";

export async function showStyles() {
  change({ styles: await get("/api/styles") });
  byId("mixing").hidden = state.options.abilities.styles < 2;
  byId("several").addEventListener("change", () => {
    if (!byId("several").checked) change({ chosen: state.chosen.slice(0, 1) });
  });
  on("styles chosen", draw);
  on("chosen", drawWeights);
  change({ chosen: state.styles.slice(0, 1).map(({ id }) => ({ id, weight: 1 })) });
}

export function addStyle(picture) {
  const style = { id: picture.id, name: picture.name, own: true };
  change({ styles: [style, ...state.styles] });
  choose(style.id);
}

function choose(id) {
  const several = byId("several").checked;
  const others = state.chosen.filter((style) => style.id !== id);
  const was = others.length < state.chosen.length;
  if (!several) change({ chosen: [{ id, weight: 1 }] });
  else if (was && others.length) change({ chosen: others });
  else if (!was && others.length < state.options.abilities.styles) change({ chosen: [...others, { id, weight: 1 }] });
}

function drop(id) {
  const styles = state.styles.filter((style) => style.id !== id);
  const chosen = state.chosen.filter((style) => style.id !== id);
  change({ styles, chosen: chosen.length ? chosen : styles.slice(0, 1).map((style) => ({ id: style.id, weight: 1 })) });
  remove(`/api/pictures/${id}`);
}

let drawn = "";
function draw() {
  const names = state.styles.map((style) => style.id).join();
  if (names !== drawn) byId("styles").replaceChildren(...state.styles.map(card));
  drawn = names;
  for (const button of byId("styles").querySelectorAll(".card")) {
    button.setAttribute("aria-pressed", state.chosen.some((style) => style.id === button.dataset.id));
  }
}

function card({ id, name, own }) {
  const picture = make("img", { src: pictureUrl(id, 160), alt: "", loading: "lazy" });
  const button = { type: "button", class: "card", "data-id": id, "aria-pressed": "false", title: name, click: () => choose(id) };
  const parts = [make("button", button, picture, make("span", {}, name))];
  if (own) parts.push(make("button", { type: "button", class: "remove", "aria-label": `Remove ${name}`, click: () => drop(id) }, "×"));
  return make("li", {}, ...parts);
}

function drawWeights() {
  const place = byId("weights");
  place.hidden = state.chosen.length < 2;
  const ids = state.chosen.map((style) => style.id).join();
  if (place.dataset.ids === ids) return; // a slider that is being dragged stays
  place.dataset.ids = ids;
  place.replaceChildren(...state.chosen.map(({ id, weight }, index) => weightDial(id, weight, index)));
}

function weightDial(id, weight, index) {
  const name = state.styles.find((style) => style.id === id)?.name ?? id;
  const shown = make("output", { for: `weight-${index}` }, weight.toFixed(2));
  const turn = () => {
    shown.textContent = Number(input.value).toFixed(2);
    change({ chosen: state.chosen.map((style) => (style.id === id ? { ...style, weight: Number(input.value) } : style)) });
  };
  const input = make("input", { type: "range", id: `weight-${index}`, min: 0.05, max: 1, step: 0.05, input: turn });
  input.value = weight;
  return make("div", { class: "dial" }, make("label", { for: `weight-${index}` }, `Share of ${name}`), input, shown);
}
