// The page: asks the server what there is, and wakes the parts.

import { closePage, get } from "./api.js";
import { showBrush } from "./brush.js";
import { showCopy } from "./copy.js";
import { showDials, showSizes } from "./dials.js";
import { takePictures } from "./intake.js";
import { showPaint } from "./paint.js";
import { showPhotos } from "./photos.js";
import { showStage } from "./stage.js";
import { change, complain } from "./state.js";
import { showStyles } from "./styles.js";

async function start() {
  change({ options: await get("/api/options") });
  showPhotos();
  showStage();
  showDials();
  showSizes();
  showBrush();
  showPaint();
  showCopy();
  await showStyles();
  takePictures();
  document.documentElement.dataset.ready = "yes"; // what tests wait for
}

// a page that may come back keeps its pictures
addEventListener("pagehide", (event) => event.persisted || closePage());

start().catch(complain);
