// The map of the answer: its tools and its legend.
const box = element.querySelector(".map"), missing = box.querySelector(".map-missing");
const files = new URL(box.dataset.files, document.baseURI).href;
let planet = null;

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

box.addEventListener("click", event => {
  const tool = event.target.closest("[data-tool]")?.dataset.tool;
  if (planet && tool === "answer") planet.fit(props.value.window);
  if (planet && tool === "world") planet.world();
});
drawTools(box, files, () => starting?.then(() => planet));

const idle = window.requestIdleCallback || (start => setTimeout(start, 500));
idle(() => { import(files + "planet_map.js"); });   // the map is ready before the first answer
