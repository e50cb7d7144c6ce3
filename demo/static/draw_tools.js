// Buttons that draw an area on a map. It goes to where.js of the same tab. `map` returns what planet_map.js made,
// or a promise of it.
const DRAWING_HINTS = {
  box: "Drag from one corner to the other. Escape ends.",
  circle: "Drag from the centre outwards. Escape ends.",
  polygon: "Click the corners, and the first one again to finish. Escape ends."};

function drawTools(box, files, map) {
  const hint = box.querySelector(".hint");
  let stop = null;
  box.addEventListener("click", async event => {
    const button = event.target.closest("[data-draw]");
    const planet = button && await map();
    if (!planet) return;
    const again = button.getAttribute("aria-pressed") === "true";
    stop?.();
    if (again) return;
    const {draw} = await import(files + "drawing.js");
    button.setAttribute("aria-pressed", "true");
    hint.textContent = DRAWING_HINTS[button.dataset.draw];
    stop = draw(planet, button.dataset.draw, shape => {
      stop = null;
      hint.textContent = "";
      button.setAttribute("aria-pressed", "false");
      if (shape) box.dispatchEvent(new CustomEvent("area-drawn", {bubbles: true, detail: shape}));
    });
  });
}

