// Dots on maps of the world; a map draws as much as its window shows.
const base = JSON.parse($("base").textContent), FARTHEST_NORTH = 78, FARTHEST_SOUTH = -58;
for (const frame of document.querySelectorAll(".planet")) {
  const dots = JSON.parse(frame.querySelector("script").textContent);
  const map = lightMap(frame, base, {label: `${frame.dataset.label}. Arrow keys move, plus and minus zoom, 0 shows the world.`});
  for (const [lat, lon, radius, level, title] of dots) {
    const [x, y] = map.project(lat, lon);
    make(make(map.layers.marks, "circle", {class: `e${level}`, r: radius, "data-at": `${x} ${y}`}), "title", {}, title);
  }
  map.onDraw = () => {
    const [middle] = map.middle();
    for (const dot of map.layers.marks.children) {
      const [x, y] = dot.dataset.at.split(" ");
      dot.dataset.at = `${map.nearestCopy(+x, middle)} ${y}`;
    }
  };
  map.home = () => map.fit([FARTHEST_SOUTH, -170, FARTHEST_NORTH, 190]);
  map.home();
}
