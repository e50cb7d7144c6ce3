// Uploads the photos and tracks of a library; see choose.js for why the paths are the value.
const input = element.querySelector("input"), state = element.querySelector(".state");

async function send(files) {
  if (!files.length) return;
  const paths = [];
  try {
    for (const [i, file] of files.entries()) {            // one at a time: there may be hundreds
      state.textContent = `Uploading ${i + 1} of ${files.length} …`;
      paths.push((await upload(file)).path);
    }
    state.textContent = "";
    props.value = {paths};
    trigger("upload");
  } catch (error) {
    state.textContent = `Upload failed: ${error.message || error}`;
  }
}

element.querySelector("button").addEventListener("click", () => input.click());
input.addEventListener("change", () => { send([...input.files]); input.value = ""; });
