// Talk to the server. Every error is an Error whose message is one sentence for people.

// crypto.randomUUID exists only on secure origins; another machine's page is none
export const page = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export class Refused extends Error {
  constructor(message, status, wait) {
    super(message);
    this.status = status;
    this.wait = wait;
  }
}

async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refused("The server does not answer. Is styleshuffle-web still running?", 0);
  }
  if (answer.ok) return answer;
  const { error } = await answer.json().catch(() => ({}));
  throw new Refused(error ?? `The server said ${answer.status}.`, answer.status, Number(answer.headers.get("Retry-After")));
}

export const get = async (path) => (await call(path)).json();

export async function post(path, data) {
  const answer = await call(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(data),
  });
  return answer.json();
}

/** Send a picture (a File or Blob); resolves to {id, name, size}. */
export async function send(file, name) {
  const answer = await call(`/api/pictures?page=${page}&name=${encodeURIComponent(name)}`, {
    method: "POST",
    headers: { "Content-Type": "application/octet-stream" },
    body: file,
  });
  return answer.json();
}

export const remove = (path) => call(path, { method: "DELETE" }).catch(() => {});

export const pictureUrl = (id, side) => `/api/pictures/${id}?side=${side}`;

/** Start a job and follow it. `told` gets each state, `frame` each unfinished picture. Resolves to the last state. */
export async function run(order, { told = () => {}, frame = () => {}, signal } = {}) {
  const job = await post("/api/jobs", { page, ...order });
  if (signal?.aborted) return { ...job, state: "stopped" }; // the next order stops it on the server
  told(job);
  return new Promise((resolve, reject) => {
    const events = new EventSource(`/api/jobs/${job.id}/events`);
    const end = (finish, value) => {
      events.close();
      finish(value);
    };
    signal?.addEventListener("abort", () => end(resolve, { ...job, state: "stopped" }));
    events.addEventListener("frame", (event) => frame(JSON.parse(event.data).picture));
    events.addEventListener("state", (event) => {
      const state = JSON.parse(event.data);
      told(state);
      if (state.state === "failed") end(reject, new Refused(state.error, state.status));
      else if (state.state === "done" || state.state === "stopped") end(resolve, state);
    });
    events.addEventListener("error", () => {
      if (events.readyState === EventSource.CLOSED) end(reject, new Refused("The connection to the server was lost.", 0));
    });
  });
}

export const closePage = () => navigator.sendBeacon(`/api/pages/${page}/close`);
