// The map of the answer: its tools, its legend, and areas drawn on it.
const box = element.querySelector(".map"), missing = box.querySelector(".map-missing"), hint = box.querySelector(".hint");
const files = new URL(box.dataset.files, document.baseURI).href;
const HINTS = {
  box: "Drag from one corner to the other. Escape ends.",
  circle: "Drag from the centre outwards. Escape ends.",
  polygon: "Click the corners, and the first one again to finish. Escape ends."};
let planet = null, stopDrawing = null;

async function start() {
  const {planetMap, drawsMaps} = await import(files + "planet_map.js");
  if (!drawsMaps()) throw new Error("WebGL is switched off in this browser");
  planet = await planetMap(box.querySelector(".planet"), {
    onPin: pin => document.querySelector(`.strip [data-index="${pin.photo}"]`)?.click()});
  box.querySelector(".planet").planet = planet;
  return planet;
}

function legend(data) {
  const kinds = new Set((data.pins || []).map(pin => pin.kind));
  for (const part of ["circle", "regions", "searched"]) if (data[part]) kinds.add(part);
  for (const item of box.querySelectorAll("[data-kind]")) item.hidden = !kinds.has(item.dataset.kind);
}

let shown = null, starting = null;            // only one start at a time; a failed one may be repeated
async function show() {
  if (!props.value) return;
  legend(props.value);
  try {
    starting ??= start();
    await starting;
    if (shown === props.value) return;
    shown = props.value;
    planet.show(shown);
  } catch (error) {
    starting = null;
    missing.textContent = `The map cannot be shown: ${error.message || error}. The places below have links to other maps.`;
    missing.hidden = false;
    box.querySelector(".planet").hidden = true;
    for (const tool of box.querySelectorAll("button, .legend")) tool.hidden = true;
  }
}
watch("value", show);
show();                                       // the first answer may arrive before this script runs

box.addEventListener("click", async event => {
  const button = event.target.closest("button");
  if (!button || !planet) return;
  if (button.dataset.tool === "answer") planet.fit(props.value.window);
  if (button.dataset.tool === "world") planet.world();
  if (!button.dataset.draw) return;
  const again = button.getAttribute("aria-pressed") === "true";
  stopDrawing?.();
  if (again) return;
  const {draw} = await import(files + "drawing.js");
  button.setAttribute("aria-pressed", "true");
  hint.textContent = HINTS[button.dataset.draw];
  stopDrawing = draw(planet, button.dataset.draw, shape => {
    stopDrawing = null;
    hint.textContent = "";
    button.setAttribute("aria-pressed", "false");
    if (shape) document.dispatchEvent(new CustomEvent("area-drawn", {detail: shape}));   // to where.js
  });
});

const idle = window.requestIdleCallback || (start => setTimeout(start, 500));
idle(() => { import(files + "planet_map.js"); });   // the map is ready before the first answer
