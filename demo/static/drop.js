// The drop zone: uploads photos that are chosen, dropped anywhere on the page, or pasted.
const input = element.querySelector("input"), state = element.querySelector(".state");

async function send(list) {                    // see choose.js for why the paths are the value
  const files = [...list];
  if (!files.length) return;
  state.textContent = files.length === 1 ? "Uploading the photo …" : `Uploading ${files.length} photos …`;
  try {
    const sent = await Promise.all(files.map(file => upload(file)));
    state.textContent = "";
    props.value = {paths: sent.map(file => file.path)};
    trigger("upload");
  } catch (error) {
    state.textContent = `Upload failed: ${error.message || error}`;
  }
}

element.querySelector("button").addEventListener("click", () => input.click());
input.addEventListener("change", () => { send(input.files); input.value = ""; });

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
