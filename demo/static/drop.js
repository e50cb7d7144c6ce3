// The drop zone: uploads photos that are chosen, taken, dropped anywhere on the page, or pasted. The first
// of them is shown at once, until the answer with its own picture arrives.
const state = element.querySelector(".state"), preview = element.querySelector(".preview"), picture = preview.querySelector("img");
const ownPhoto = () => document.querySelector(".photo-part");
const photos = element.querySelector(".drop").photos = new Map();   // files by run, for photo.js
const PROGRESS_MS = 400;
let waiting = null;

function finish(message = "") {
  waiting = null;
  preview.hidden = true;
  URL.revokeObjectURL(picture.src);
  picture.removeAttribute("src");
  ownPhoto()?.classList.remove("replaced");
  state.textContent = message;
}

function tell(done, total, what) {              // in words, and as a bar where the answer will be
  state.textContent = total === 1 ? `Uploading the photo …` : `${done} of ${total} photos ${what} …`;
  for (const bar of document.querySelectorAll(".working progress")) Object.assign(bar, {max: total, value: done});
}

async function follow(run, total) {
  while (waiting === run) {
    const found = await fetch(new URL(`progress/${run}`, document.baseURI)).then(reply => reply.json()).catch(() => ({}));
    if (waiting !== run) return;
    if (found.photos && found.read < found.photos) tell(found.read, found.photos, "read");
    else if (found.photos) { tell(found.photos, found.photos, "read"); state.textContent = `All ${found.photos} photos read, comparing …`; }
    await new Promise(resolve => setTimeout(resolve, PROGRESS_MS));
  }
}

async function send(list) {                    // see choose.js for why the paths are the value
  const files = [...list];
  if (!files.length) return;
  const run = waiting = `${Date.now()}-${Array.from(crypto.getRandomValues(new Uint32Array(2)), part => part.toString(36)).join("")}`;
  ownPhoto()?.classList.add("replaced");
  preview.hidden = false;
  photos.set(run, files);
  picture.src = URL.createObjectURL(files[0]);  // a format that the browser cannot show, such as HEIC, stays a grey box
  const what = files.length === 1 ? "the photo" : `${files.length} photos`;
  let there = 0;
  tell(0, files.length, "uploaded");
  try {
    const sent = await Promise.all(files.map(async file => {
      const one = await upload(file);
      if (waiting === run) tell(++there, files.length, "uploaded");
      return one;
    }));
    if (waiting !== run) return;
    state.textContent = `Looking at ${what} …`;
    props.value = {paths: sent.map(file => file.path), run};
    trigger("upload");
    if (files.length > 1) follow(run, files.length);
  } catch (error) {
    photos.delete(run);
    if (waiting === run) finish(`Upload failed: ${error.message || error}`);
  }
}

document.addEventListener("answer-shown", () => { if (waiting) finish(); });   // from answer.js
for (const button of element.querySelectorAll("[data-choose]"))
  button.addEventListener("click", () => element.querySelector(`[data-source=${button.dataset.choose}]`).click());
for (const input of element.querySelectorAll("input"))
  input.addEventListener("change", () => { send(input.files); input.value = ""; });
element.querySelector("[data-cancel]").addEventListener("click", () => {
  const run = waiting;
  photos.delete(run);
  finish("Cancelled.");
  props.value = {paths: [], run};
  trigger("clear");
});

const holdsFiles = event => [...event.dataTransfer.types].includes("Files");
let inside = 0;                              // dragenter and dragleave also fire for every child element
const mark = () => element.querySelector(".drop").classList.toggle("over", inside > 0);
document.addEventListener("dragenter", event => { if (holdsFiles(event)) { inside++; mark(); } });
document.addEventListener("dragleave", event => { if (holdsFiles(event)) { inside--; mark(); } });
document.addEventListener("dragover", event => { if (holdsFiles(event)) event.preventDefault(); });
document.addEventListener("drop", event => {
  inside = 0; mark();
  if (holdsFiles(event)) { event.preventDefault(); send(event.dataTransfer.files); }
});
document.addEventListener("paste", event => send(event.clipboardData.files));
