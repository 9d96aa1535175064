// What the page shows, in one place. Parts of the page change it through `change` and hear of changes through `on`.

export const state = {
  options: null, // of the server: settings, abilities, limits
  photos: [], // {id, name, size}
  photo: null, // the chosen one
  styles: [], // {id, name, own}
  chosen: [], // {id, weight}
  settings: {}, // by name, only those that differ from the defaults
  previewSide: 384,
  finalSize: null,
  format: "png",
};

const changes = new EventTarget();

/** Change parts of the state; tells each of their names. */
export function change(values) {
  Object.assign(state, values);
  for (const name of Object.keys(values)) changes.dispatchEvent(new Event(name));
}

export function on(names, react) {
  for (const name of names.split(" ")) changes.addEventListener(name, react);
}

export const byId = (id) => document.getElementById(id);

/** Make an element: `make("li", {class: "card"}, child, "text")`. A function as a value listens to that event. */
export function make(tag, values = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function complain(error) {
  const message = byId("message");
  message.textContent = typeof error === "string" ? error : error.message;
  message.hidden = false;
}

export function calm() {
  byId("message").hidden = true;
}
