// Games step by step. Each round has two steps: the players' pins, then the true place with points and
// damage. An even `at` shows pins, an odd one the true place.
const PINS_MS = 1000, TRUTH_MS = 2600, MOVE_MS = 600, SMALLEST_VIEW = 20;
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)").matches;
const WORLD = [0, 0, data.base.size, data.base.size];
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
  const truth = data.places[now.place], pins = [], lines = [];
  match.players.forEach((player, i) => {
    const at = data.pins[player][now.place], name = data.players[player];
    if (!at || !now.playing[i]) return;
    pins.push({lat: at[0], lon: at[1], kind: "other", colour: `var(--p${player % 8})`, title: name, label: name.slice(0, 1).toUpperCase()});
    if (revealed()) lines.push({at: [at.toReversed(), truth.at.toReversed()], colour: `var(--p${player % 8})`});
  });
  if (revealed()) pins.push({lat: truth.at[0], lon: truth.at[1], kind: "truth", title: truth.name});
  map.show({pins, lines}, true);
  const points = pins.map(pin => map.project(pin.lat, pin.lon)).map(([x, y]) => ({x, y}));
  const view = revealed() ? map.windowOf(points, SMALLEST_VIEW) : WORLD;
  map.home = () => map.setView(view);
  glide(view);
}

let animation = 0;
function glide(target) {
  cancelAnimationFrame(animation);
  const from = map.view.slice(), start = performance.now();
  const frame = time => {
    const part = reducedMotion ? 1 : Math.min(1, Math.max(0, (time - start) / MOVE_MS)), f = part * part * (3 - 2 * part);
    map.setView(target.map((value, i) => from[i] + (value - from[i]) * f));
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
