// Games step by step. Each round has two steps: the players' pins, then the true place with points and
// damage. An even `at` shows pins, an odd one the true place.
const PINS_MS = 1000, TRUTH_MS = 2600, MOVE_MS = 600, SMALLEST_WINDOW = 20;
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)").matches;
const WORLD = [0, 0, data.size, data.size];
let match, at = 0, timer = null;

const colour = player => `--player:var(--p${player % 8})`;
const round = () => match.rounds[Math.floor(at / 2)];
const revealed = () => at % 2 === 1;
const last = () => 2 * match.rounds.length - 1;

function choose(number) {
  pause();
  match = data.matches[number];
  $("choose").value = number;
  $("at").max = last();
  $("players").replaceChildren();
  match.players.forEach((player, i) => {
    const row = make($("players"), "li", {style: colour(player), id: `player${i}`});
    make(row, "b", {}, data.players[player]);
    make(row, "span", {class: "value"});
    make(make(row, "div", {class: "bar"}), "i", {});
    make(row, "small", {});
  });
  show(0);
}

function show(step) {
  at = Math.max(0, Math.min(last(), step));
  const now = round(), number = Math.floor(at / 2), over = at === last();
  $("at").value = at;
  $("back").disabled = at === 0;
  $("step").disabled = over;
  $("at").setAttribute("aria-valuetext", `round ${number + 1} of ${match.rounds.length}`);
  $("round").textContent = `Round ${number + 1} of ${match.rounds.length}` + (over ? `: ${match.ending}` : "");
  $("where").textContent = revealed() ? data.places[now.place].name : "The players have placed their pins.";
  match.players.forEach((player, i) => scoreboard(player, i, now, number));
  drawRound(now);
}

function scoreboard(player, i, now, number) {
  const row = $(`player${i}`), before = number ? match.rounds[number - 1].value : match.start;
  const value = revealed() ? now.value[i] : before[i];
  row.querySelector(".value").textContent = value.toLocaleString("en");
  row.querySelector("i").style.width = `${100 * value / match.full}%`;
  row.querySelector("small").textContent = revealed() ? now.result[i] : now.before[i];
  row.classList.toggle("out", !now.playing[i]);
}

function drawRound(now) {
  for (const id of ["pins", "lines"]) $(id).replaceChildren();
  const truth = data.places[now.place].at, points = [truth];
  match.players.forEach((player, i) => {
    const position = data.pins[player][now.place];
    if (!position || !now.playing[i]) return;
    points.push(position);
    for (const turn of [-data.size, 0, data.size]) {       // the map repeats east and west
      const [x, y] = [position[0] + turn, position[1]];
      if (revealed()) make($("lines"), "path", {d: `M${x},${y}L${truth[0] + turn},${truth[1]}`, style: colour(player)});
      mark("pin", colour(player), [x, y], data.players[player], data.players[player].slice(0, 1).toUpperCase());
    }
  });
  if (revealed()) for (const turn of [-data.size, 0, data.size])
    mark("truth", "", [truth[0] + turn, truth[1]], data.places[now.place].name, "");
  home = revealed() ? windowOf(points) : WORLD;
  glide(home);
}

function mark(kind, style, at, title, label) {
  const group = make($("pins"), "g", {class: kind, style, "data-at": at.join(" ")});
  make(group, "title", {}, title);
  make(group, "circle", {r: kind === "truth" ? 5 : 9});
  if (kind === "truth") make(group, "circle", {r: 10, class: "ring"});
  make(group, "text", {}, label);
}

function windowOf(points) {
  const [xs, ys] = [0, 1].map(axis => points.map(point => point[axis]));
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const wide = Math.max(...xs) - left, high = Math.max(...ys) - top;
  const side = Math.min(data.size, Math.max(SMALLEST_WINDOW, 1.5 * Math.max(wide, high)));
  const y = Math.min(data.size - side, Math.max(0, top + high / 2 - side / 2));
  return [left + wide / 2 - side / 2, y, side, side];
}

let animation = 0;
function glide(target) {
  cancelAnimationFrame(animation);
  const from = view.slice(), start = performance.now();
  const frame = time => {
    const part = reducedMotion ? 1 : Math.min(1, Math.max(0, (time - start) / MOVE_MS)), f = part * part * (3 - 2 * part);
    view = target.map((value, i) => from[i] + (value - from[i]) * f);
    draw();
    if (part < 1) animation = requestAnimationFrame(frame);
  };
  frame(start);
}

function play() {
  if (at === last()) show(0);
  $("play").textContent = "Pause";
  const next = () => {
    if (at === last()) return pause();
    show(at + 1);
    timer = setTimeout(next, revealed() ? TRUTH_MS : PINS_MS);
  };
  timer = setTimeout(next, PINS_MS);
}

function pause() {
  clearTimeout(timer);
  timer = null;
  $("play").textContent = "Play";
}

function go(step) {
  pause();
  show(step);
}

$("title").textContent = data.title;
$("about").textContent = data.about;
data.matches.forEach((each, i) => make($("choose"), "option", {value: i}, each.name));
for (const cells of data.standings) {
  const row = make($("table"), "tr", {});
  cells.forEach(text => make(row, "td", {}, text));
}
$("choose").onchange = event => choose(+event.target.value);
$("play").onclick = () => timer ? pause() : play();
$("step").onclick = () => go(at + 1);
$("back").onclick = () => go(at - 1);
$("at").oninput = event => go(+event.target.value);
addEventListener("keydown", event => {
  if (event.target.closest("svg, select, input") || event.ctrlKey || event.metaKey || event.altKey) return;
  const number = data.matches.indexOf(match), games = data.matches.length;
  const keys = {ArrowRight: () => go(at + 1), ArrowLeft: () => go(at - 1), Home: () => go(0), End: () => go(last()),
                n: () => choose((number + 1) % games), p: () => choose((number + games - 1) % games)};
  if (event.key === " " && !event.target.closest("button")) keys[" "] = $("play").onclick;
  const act = keys[event.key.length > 1 ? event.key : event.key.toLowerCase()];
  if (act) { act(); event.preventDefault(); }
});
choose(0);
