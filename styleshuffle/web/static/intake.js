// Take in pictures: by drop (files and folders), file dialog, paste and camera.

import { send } from "./api.js";
import { addPhoto } from "./photos.js";
import { byId, calm, complain, state } from "./state.js";
import { addStyle } from "./styles.js";

/** Whether a file of a folder looks like a picture that the server reads. */
const isPicture = ({ name }) => state.options.readable.some((suffix) => name.toLowerCase().endsWith(suffix));

export function takePictures() {
  for (const button of document.querySelectorAll("[data-choose]")) {
    const kind = button.dataset.choose;
    button.addEventListener("click", () => (kind === "camera" ? openCamera() : byId(`file-${kind}`).click()));
  }
  for (const kind of ["photo", "style", "folder", "camera"]) {
    const input = byId(`file-${kind}`);
    input.addEventListener("change", () => {
      const files = [...input.files].filter((file) => kind !== "folder" || isPicture(file));
      take(files, kind === "style");
      input.value = "";
    });
  }
  takeDrops();
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files].filter((file) => file.type.startsWith("image/"));
    if (files.length) take(files, byId("styles-panel").contains(document.activeElement));
  });
}

/** Send files one after the other. A file that is refused is named, and the others go on. */
async function take(files, asStyle) {
  calm();
  const most = state.options.limits.contents;
  if (files.length > most) complain(`These are ${files.length} files; the first ${most} are taken.`);
  for (const [index, file] of files.slice(0, most).entries()) {
    byId("sending").textContent = `Reading ${index + 1} of ${Math.min(most, files.length)}: ${file.name}`;
    try {
      if (file.size > state.options.limits.upload_bytes) {
        throw new Error(`${file.name}: is larger than ${state.options.limits.upload_bytes / 2 ** 20} MiB; choose a smaller file`);
      }
      const picture = await send(file, file.name || "pasted.png");
      if (asStyle) addStyle(picture);
      else addPhoto(picture);
    } catch (error) {
      complain(error);
    }
  }
  byId("sending").textContent = "";
}

function takeDrops() {
  let depth = 0;
  const dragging = (change) => {
    depth = Math.max(0, change === 0 ? 0 : depth + change);
    document.body.classList.toggle("dragging", depth > 0);
  };
  document.addEventListener("dragenter", () => dragging(1));
  document.addEventListener("dragleave", () => dragging(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    dragging(0);
    const asStyle = byId("styles-panel").contains(event.target);
    take(await filesOf(event.dataTransfer), asStyle);
  });
}

/** The files of a drop; of folders those that look like pictures, in order of their names. */
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const files = await Promise.all(entries.map((entry) => filesIn(entry)));
  return files.flat().filter(isPicture);
}

async function filesIn(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const inside = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // at most 100 at a time
    if (!some.length) break;
    inside.push(...some);
  }
  inside.sort((a, b) => a.name.localeCompare(b.name));
  return (await Promise.all(inside.map(filesIn))).flat();
}

// ---------------------------------------------------------------------------------------------------------- camera

async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) return byId("file-camera").click(); // as on a phone without https
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 }, facingMode: "environment" } });
  } catch (error) {
    return complain(error.name === "NotFoundError" ? "There is no camera." : "The browser does not let this page use the camera.");
  }
  const [dialog, video] = [byId("camera"), byId("video")];
  video.srcObject = stream;
  dialog.showModal();
  dialog.addEventListener("close", () => stream.getTracks().forEach((track) => track.stop()), { once: true });
  byId("camera-close").onclick = () => dialog.close();
  byId("shoot").onclick = () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    dialog.close();
    canvas.toBlob((blob) => take([new File([blob], "camera.png", { type: "image/png" })], false), "image/png");
  };
}
