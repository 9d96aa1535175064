// Show the OpenAPI description of the server as a page.

import { get } from "./api.js";
import { byId, make } from "./state.js";

function operation(path, method, { summary, parameters = [], requestBody, responses }) {
  const inputs = parameters.map(({ name, in: place, description }) => `${name} (${place}${description ? `: ${description}` : ""})`);
  const bodies = Object.keys(requestBody?.content ?? {});
  const statuses = {}; // by what they mean
  for (const [status, { description }] of Object.entries(responses)) (statuses[description] ??= []).push(status);
  const answers = Object.entries(statuses).map(([text, numbers]) => make("li", {}, make("strong", {}, numbers.join(", ")), ` ${text}`));
  const parts = [make("h3", {}, make("code", {}, `${method.toUpperCase()} ${path}`)), make("p", {}, summary)];
  if (inputs.length) parts.push(make("p", {}, `Takes: ${inputs.join("; ")}.`));
  if (bodies.length) parts.push(make("p", {}, `Body: ${bodies.join(", ")}.`));
  return make("section", {}, ...parts, make("ul", {}, ...answers));
}

function values({ anyOf, enum: choices, items, minimum, maximum, type }) {
  if (anyOf) return anyOf.map(values).join("; or ");
  if (choices) return choices.join(", ");
  if (items) return `list, each ${values(items)}`;
  return minimum === undefined ? String(type) : `${minimum} to ${maximum}`;
}

async function show() {
  const { info, paths, components } = await get("/api/openapi.json");
  byId("about").textContent = info.description;
  byId("example").textContent =
    `curl -F content=@photo.jpg -F style=@painting.jpg -F strength=0.8 -F size=1024 ${location.origin}/api/paint -o out.png`;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, about]) => operation(path, method, about)));
  byId("addresses").replaceChildren(...operations);
  const rows = Object.entries(components.schemas.Settings.properties).map(([name, about]) =>
    make("tr", {}, ...[name, JSON.stringify(about.default), values(about), about.description].map((text) => make("td", {}, text))));
  byId("settings").replaceChildren(...rows);
}

show();
