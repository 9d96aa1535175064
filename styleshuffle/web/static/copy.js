// Copy what makes the picture again without this page.

import { post } from "./api.js";
import { order } from "./paint.js";
import { byId, complain, state } from "./state.js";

export function showCopy() {
  for (const kind of ["command", "python"]) byId(`copy-${kind}`).addEventListener("click", () => copy(kind));
  byId("recipe-close").addEventListener("click", () => byId("recipe").close());
}

async function copy(kind) {
  try {
    const recipe = await post("/api/recipe", { ...(await order([state.photo], "final")), format: state.format });
    if (await copied(recipe[kind])) {
      byId("status").textContent = kind === "command" ? "The command is copied." : "The lines of Python are copied.";
      return;
    }
    byId("recipe-text").value = recipe[kind];
    byId("recipe").showModal();
    byId("recipe-text").select();
  } catch (error) {
    complain(error);
  }
}

/** Whether the clipboard took the text: browsers refuse it to pages of other machines without https. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
