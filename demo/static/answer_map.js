// The map of the answer: its tools, its legend, and areas drawn on it.
const box = element.querySelector(".map"), missing = box.querySelector(".map-missing"), hint = box.querySelector(".hint");
const files = new URL(box.dataset.files, document.baseURI).href;
const HINTS = {
  box: "Drag from one corner to the other. Escape ends.",
  circle: "Drag from the centre outwards. Escape ends.",
  polygon: "Click the corners, and the first one again to finish. Escape ends."};
let planet = null, stopDrawing = null;

async function start() {
  const {planetMap} = await import(files + "planet_map.js");
  planet = await planetMap(box.querySelector(".planet"), {
    label: "Map of the answer", onPin: pin => document.querySelector(`.strip [data-index="${pin.photo}"]`)?.click()});
  box.querySelector(".planet").planet = planet;
  missing.textContent = "This browser draws no WebGL, so the map has fewer details.";
  missing.hidden = !planet.isLight;
}

let shown = null, starting = null;            // only one start at a time; a failed one may be repeated
async function show() {
  if (!props.value) return;
  try {
    starting ??= start();
    await starting;
    mapLegend(box, props.value);
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
