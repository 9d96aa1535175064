// The photographs that were added; one is on the stage.

import { pictureUrl, remove } from "./api.js";
import { byId, change, make, on, state } from "./state.js";

export function showPhotos() {
  on("photos photo", draw);
}

export function addPhoto(picture) {
  change({ photos: [...state.photos, picture] });
  if (!state.photo || state.photos.length === 1) change({ photo: picture });
}

function drop(id) {
  const photos = state.photos.filter((photo) => photo.id !== id);
  change({ photos });
  if (state.photo?.id === id) change({ photo: photos[0] ?? null });
  remove(`/api/pictures/${id}`);
}

function draw() {
  byId("photos").replaceChildren(...state.photos.map(card));
  byId("empty").hidden = state.photos.length > 0;
  byId("shown").hidden = state.photos.length === 0;
  byId("paint-all").hidden = state.photos.length < 2;
  byId("paint-all").textContent = `Paint all ${state.photos.length} photographs`;
  for (const id of ["paint", "copy-command", "copy-python"]) byId(id).disabled = !state.photo;
}

function card(photo) {
  const picture = make("img", { src: pictureUrl(photo.id, 160), alt: "", loading: "lazy" });
  const pressed = String(photo.id === state.photo?.id);
  const show = () => change({ photo });
  const button = { type: "button", class: "card", "aria-pressed": pressed, title: photo.name, click: show };
  const away = { type: "button", class: "remove", "aria-label": `Remove ${photo.name}`, click: () => drop(photo.id) };
  return make("li", {}, make("button", button, picture, make("span", {}, photo.name)), make("button", away, "×"));
}
