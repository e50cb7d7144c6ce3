// The drop zone: photos arrive by choosing, dropping anywhere on the page, or pasting.
const input = element.querySelector("input"), state = element.querySelector(".state");

async function send(list) {
  const files = [...list];
  if (!files.length) return;
  state.textContent = files.length === 1 ? "Sending the photo …" : `Sending ${files.length} photos …`;
  try {
    const sent = await Promise.all(files.map(file => upload(file)));
    state.textContent = "";
    trigger("upload", {paths: sent.map(file => file.path)});
  } catch (error) {
    state.textContent = `Not sent: ${error.message || error}`;
  }
}

element.querySelector("button").addEventListener("click", () => input.click());
input.addEventListener("change", () => { send(input.files); input.value = ""; });

const holdsFiles = event => [...event.dataTransfer.types].includes("Files");
let inside = 0;                              // enter and leave also fire for every element passed
const mark = () => element.querySelector(".drop").classList.toggle("over", inside > 0);
document.addEventListener("dragenter", event => { if (holdsFiles(event)) { inside++; mark(); } });
document.addEventListener("dragleave", event => { if (holdsFiles(event)) { inside--; mark(); } });
document.addEventListener("dragover", event => { if (holdsFiles(event)) event.preventDefault(); });
document.addEventListener("drop", event => {
  inside = 0; mark();
  if (holdsFiles(event)) { event.preventDefault(); send(event.dataTransfer.files); }
});
document.addEventListener("paste", event => send(event.clipboardData.files));
