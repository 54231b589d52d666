"use strict";
const D = JSON.parse(document.getElementById("data").textContent);
const PARTS = 10000; // attention comes in ten-thousandths
const CROWD = 40; // tokens that have room for their names; of more, as of sound, every tenth is named
const $ = (id) => document.getElementById(id);
const READ = D.target.slice(0, -1); // the last token was never read
const STACKS = {
  cross: { name: "Decoder to source", rows: READ, columns: D.source },
  decoder: { name: "Decoder to itself", rows: READ, columns: READ },
  encoder: { name: "Encoder", rows: D.source, columns: D.source },
};
const at = { step: 0, stack: "cross", layer: 0, head: 0, row: 0 };

// -- small things ---------------------------------------------------------------------------------------------------
const shown = (token) => token[1].replace(/^[Ġ▁](?=.)/, "·"); // a space before a word, as both tokenizers write it
const percent = (share) => share > 0 && share < 0.001 ? "<0.1 %" : `${(100 * share).toFixed(1)} %`;
const many = (n) => n.toLocaleString("en");

function element(name, attributes = {}, ...inside) {
  const svg = "svg g path text rect line title".split(" ").includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}

function picture(place, width, height, label, parts) {
  place.replaceChildren(element("svg", { width, height, role: "img", "aria-label": label }, ...parts));
}

const cut = (text, most) => text.length > most ? `${text.slice(0, most - 1)}…` : text;

// -- from source to result ------------------------------------------------------------------------------------------
function markWay() { // the drawing itself was made beforehand
  for (const part of document.querySelectorAll("#way [data-step]")) part.classList.toggle("here", Number(part.dataset.step) === at.step);
}

function drawTokens() {
  const chips = (tokens) => element("dd", {}, ...tokens.map((token) =>
    element("span", { class: "token" }, shown(token), element("small", {}, String(token[0])))));
  const list = element("dl");
  for (const [name, tokens] of [["Source", D.source], ["Given", D.target.slice(0, D.prompt)], ["Generated", D.target.slice(D.prompt)]]) {
    list.append(element("dt", {}, name), chips(tokens));
  }
  $("tokens").replaceChildren(list, element("p", { class: "soft" }, "A dot before a token stands for a space."));
}

// -- what could have come -------------------------------------------------------------------------------------------
function drawChoice() {
  const step = D.steps[at.step] ?? [];
  const search = step.every((row) => row[3] === null);
  $("choice-about").textContent = `The model's five likeliest tokens, and what ${D.sampler} made of them. `
    + (search ? "" : "The second column is the chance with which the sampler takes a token. ") + "The one in bold was taken.";
  const share = (value) => element("td", { class: "share" }, element("span", {}, percent(value)),
    element("i", { style: `width:${(100 * value).toFixed(2)}%` }));
  const heads = ["Token", "Model", search ? "Search" : "Sampler"].map((name) => element("th", { scope: "col" }, name));
  $("choice").replaceChildren(element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...step.map((row) =>
    element("tr", { class: row[5] ? "taken" : "" },
      element("th", { scope: "row", class: "token" }, shown(row) + (row[5] ? " ✓" : "")), share(row[2]),
      row[3] === null ? element("td", {}, row[4]) : share(row[3])))));
}

// -- attention ------------------------------------------------------------------------------------------------------
const highest = (map) => map.flat().reduce((most, value) => Math.max(most, value), 1);
const weights = () => D.attention[at.stack][at.layer]?.[at.head] ?? [];

function drawMap() {
  const { rows, columns, name } = STACKS[at.stack];
  const names = Math.min(10, Math.max(...[...rows, ...columns].map((token) => shown(token).length), 1));
  const [left, top] = [9 * names + 8, 8 * names + 12];
  const every = (tokens) => tokens.length > CROWD ? 10 : 1;
  const size = Math.max(columns.length > CROWD ? 6 : 14, Math.min(46, Math.floor(($("map").clientWidth - left - 10) / columns.length), Math.floor(640 / rows.length)));
  const high = Math.max(size, Math.min(16, Math.floor(640 / rows.length))); // of a row
  const most = highest(weights());
  const parts = [element("rect", { class: "frame", x: left, y: top, width: size * columns.length, height: high * rows.length })];
  columns.forEach((token, s) => {
    if (s % every(columns)) return;
    const cx = left + (s + 0.7) * size;
    parts.push(element("text", { x: cx, y: top - 6, transform: `rotate(-90 ${cx} ${top - 6})` }, cut(shown(token), 10)));
  });
  rows.forEach((token, t) => {
    const y = top + t * high;
    const label = element("text", { x: left - 6, y: y + high * 0.68, "text-anchor": "end", class: t === at.row ? "pick here" : "pick" }, cut(shown(token), 10));
    label.addEventListener("click", () => look(t));
    if (t % every(rows) === 0 || t === at.row) parts.push(label);
    (weights()[t] ?? []).forEach((value, s) => {
      if (value < most / 250) return; // could not be seen
      const cell = element("rect", { class: "cell pick", x: left + s * size + 0.5, y: y + 0.5, width: size - 1, height: high - 1,
        "fill-opacity": (value / most).toFixed(3) }, element("title", {}, `${shown(token)} looks at ${shown(columns[s])}: ${percent(value / PARTS)}`));
      cell.addEventListener("click", () => look(t));
      parts.push(cell);
    });
  });
  parts.push(element("rect", { class: "row", x: left, y: top + at.row * high, width: size * columns.length, height: high }));
  picture($("map"), left + size * columns.length + 8, top + high * rows.length + 8, `${name}, layer ${at.layer}, head ${at.head}: heat map`, parts);
}

function drawReadout() {
  const { columns } = STACKS[at.stack];
  const row = (weights()[at.row] ?? []).map((value, s) => [value, s]).sort((a, b) => b[0] - a[0]).slice(0, 5).filter(([value]) => value);
  $("readout").replaceChildren(...row.map(([value, s]) =>
    element("li", {}, element("span", { class: "token" }, shown(columns[s])), " ", element("b", {}, percent(value / PARTS)))));
}

function drawAll() { // every head of the stack, small
  const maps = D.attention[at.stack];
  const heads = maps[0]?.length ?? 0;
  $("all-title").textContent = `${STACKS[at.stack].name}: layers down (${maps.length}), heads across (${heads})`;
  $("all").style.gridTemplateColumns = `repeat(${heads}, minmax(1.5rem, 5.5rem))`;
  const [r, g, b] = getComputedStyle(document.body).getPropertyValue("--accent").match(/\w\w/g).map((pair) => parseInt(pair, 16));
  $("all").replaceChildren(...maps.flatMap((layer, l) => layer.map((map, h) => {
    const canvas = element("canvas", { width: map[0]?.length || 1, height: map.length || 1 });
    const most = highest(map);
    const image = new ImageData(canvas.width, canvas.height);
    map.flat().forEach((value, n) => image.data.set([r, g, b, Math.round(255 * value / most)], 4 * n));
    canvas.getContext("2d").putImageData(image, 0, 0);
    const button = element("button", { type: "button", "aria-label": `Layer ${l}, head ${h}`, "aria-pressed": String(l === at.layer && h === at.head) }, canvas);
    button.addEventListener("click", () => go({ layer: l, head: h }));
    return button;
  })));
}

function fill(select, names, chosen) {
  if (select.options.length !== names.length || names.some((name, n) => select.options[n].text !== name)) {
    select.replaceChildren(...names.map((name, n) => element("option", { value: n }, name)));
  }
  select.selectedIndex = chosen;
}

function drawControls() {
  const keys = Object.keys(STACKS);
  fill($("stack"), keys.map((key) => STACKS[key].name), keys.indexOf(at.stack));
  fill($("layer"), D.attention[at.stack].map((_, n) => String(n)), at.layer);
  fill($("head"), (D.attention[at.stack][at.layer] ?? []).map((_, n) => String(n)), at.head);
  fill($("row"), STACKS[at.stack].rows.map((token, n) => `${n}: ${shown(token)}`), at.row);
}

function look(row) { // a token of the decoder is looked at together with the step that it leads to
  const step = row + 1 - D.prompt;
  go(at.stack !== "encoder" && step >= 0 && step < D.steps.length ? { step } : { row });
}

function turn(by) { // through the heads of all layers of all stacks
  const all = Object.keys(STACKS).flatMap((stack) => D.attention[stack].flatMap((layer, l) => layer.map((_, h) => [stack, l, h])));
  const now = all.findIndex(([stack, l, h]) => stack === at.stack && l === at.layer && h === at.head);
  if (!all.length) return;
  const [stack, layer, head] = all[(now + by + all.length) % all.length];
  go({ stack, layer, head });
}

// -- beams ----------------------------------------------------------------------------------------------------------
function drawBeams() {
  $("beams-section").hidden = !D.beams.length;
  if (!D.beams.length) return;
  const longest = Math.max(...D.beams.flat().map((beam) => Math.min(shown(beam.slice(1)).length, 10)));
  const [wide, high, box] = [Math.max(84, 9 * longest + 40), 46, Math.max(52, 9 * longest + 14)];
  const [x, y] = [(step) => step * wide + 4, (place) => place * high + 22];
  const parts = [element("rect", { class: "row", x: x(at.step) - 3, y: 2, width: box + 6, height: D.beams[0].length * high + 4, rx: 6 })];
  D.beams.forEach((row, step) => row.forEach(([parent, , , , best, stopped], place) => {
    if (!step) return;
    const [a, b, c, d] = [x(step - 1) + box, y(parent), x(step), y(place)];
    parts.push(element("path", { class: best ? "line here" : "line", "stroke-width": best ? 3 : 1, opacity: stopped ? 0.35 : 1,
      d: `M${a} ${b} C${(a + c) / 2} ${b} ${(a + c) / 2} ${d} ${c} ${d}` }));
  }));
  D.beams.forEach((row, step) => row.forEach(([, id, text, score, best, stopped], place) => {
    const middle = { x: x(step) + box / 2, "text-anchor": "middle" };
    const made = element("g", { class: "pick", opacity: stopped ? 0.35 : 1 },
      element("rect", { x: x(step), y: y(place) - 14, width: box, height: 22, rx: 5, style: `fill:var(--${best ? "accent" : "raised"});stroke:var(--${best ? "accent" : "line"})` }),
      element("text", { ...middle, y: y(place) + 2, style: best ? "fill:var(--on-accent);font-weight:700" : "" }, cut(shown([id, text]), 10)),
      element("text", { ...middle, y: y(place) + 20, class: "faint", style: "font-size:10px" }, score < -1e8 ? "" : score.toFixed(2)));
    made.addEventListener("click", () => go({ step: Math.min(step, D.steps.length - 1) }));
    parts.push(made);
  }));
  picture($("beams"), D.beams.length * wide, D.beams[0].length * high + 10, "The beams of each step; the text below says the same", parts);
  $("tree").textContent = D.tree;
}

// -- cache ----------------------------------------------------------------------------------------------------------
function drawCache() {
  const { layers, heads, head_dim: wide, bytes, numbers, columns, source_columns: source } = D.cache;
  const filled = Math.max(D.prompt + at.step, 1);
  const fresh = at.step ? 1 : filled;
  const size = Math.max(7, Math.min(30, Math.floor($("cache").clientWidth / (READ.length + source + 3))));
  const high = Math.max(4, Math.min(14, 160 / (2 * layers || 1)));
  const parts = [];
  const block = (left, title, count, full, until) => {
    parts.push(element("text", { x: left, y: 14, class: "faint" }, title));
    for (let row = 0; row < 2 * layers; row++) {
      for (let column = 0; column < count; column++) {
        const is = column < full;
        parts.push(element("rect", { class: is ? "cell" : "frame", x: left + column * size + 0.5, y: 22 + row * high + (row >> 1) * 4, width: size - 1.5, height: high - 1.5,
          ...(is && column >= until ? { style: "fill:var(--mark)" } : {}), "fill-opacity": is ? (row % 2 ? 0.55 : 0.85) : 0 }));
      }
    }
  };
  block(0, "source", source, source, source);
  block((source + 1) * size + 10, "decoder", READ.length, filled, filled - fresh);
  picture($("cache"), (source + 1 + Math.max(READ.length, 4)) * size + 14, 30 + 2 * layers * high + layers * 4,
    `Cache: ${source} source columns, ${filled} of ${READ.length} decoder columns`, parts);
  $("cache-about").textContent = `To choose ${D.steps.length ? shown(D.target[D.prompt + at.step]) : "a token"} the decoder read `
    + `${fresh === 1 ? `one token, ${shown(D.target[filled - 1])}` : `the ${fresh} tokens that were given`}, and kept its keys and values: `
    + `2 (key and value) × layers (${layers}) × heads (${heads}) × ${wide} = ${many(numbers)} numbers a token. The cache now holds ${filled} of its ${many(columns)} columns (the picture shows those that were used in the end), `
    + `${many(filled * numbers * bytes)} bytes, beside ${many(source * numbers * bytes)} bytes of the source, computed once. `
    + `Without it ${filled === 1 ? "one token" : `all ${filled} tokens`} would be read at this step. A row is the keys or the values of a layer.`;
}

// -- going about ----------------------------------------------------------------------------------------------------
function go(change) {
  Object.assign(at, change);
  at.layer = Math.min(at.layer, Math.max(D.attention[at.stack].length - 1, 0));
  at.head = Math.min(at.head, Math.max((D.attention[at.stack][at.layer]?.length ?? 1) - 1, 0));
  if (("step" in change || "stack" in change) && at.stack !== "encoder") at.row = Math.max(D.prompt + at.step - 1, 0);
  at.row = Math.min(at.row, STACKS[at.stack].rows.length - 1);
  $("step").value = at.step;
  const name = D.steps.length ? `Token ${at.step + 1} of ${D.steps.length}: ${shown(D.target[D.prompt + at.step])}` : "Nothing was generated";
  $("step-name").textContent = name;
  $("step").setAttribute("aria-valuetext", name);
  for (const draw of [markWay, drawChoice, drawControls, drawMap, drawReadout, drawAll, drawBeams, drawCache]) draw();
}

const move = (by) => go({ step: Math.max(0, Math.min(D.steps.length - 1, at.step + by)) });
$("about").textContent = `${D.model}; ${D.sampler}`;
$("step").max = Math.max(D.steps.length - 1, 0);
$("step").addEventListener("input", () => go({ step: Number($("step").value) }));
for (const word of document.querySelectorAll("#way text[data-step]")) {
  word.addEventListener("click", () => go({ step: Number(word.dataset.step) }));
}
$("before").addEventListener("click", () => move(-1));
$("after").addEventListener("click", () => move(1));
$("map-before").addEventListener("click", () => turn(-1));
$("map-after").addEventListener("click", () => turn(1));
$("stack").addEventListener("change", () => go({ stack: Object.keys(STACKS)[$("stack").selectedIndex] }));
$("layer").addEventListener("change", () => go({ layer: $("layer").selectedIndex }));
$("head").addEventListener("change", () => go({ head: $("head").selectedIndex }));
$("row").addEventListener("change", () => look($("row").selectedIndex));
addEventListener("resize", () => [drawMap, drawCache].forEach((draw) => draw()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
drawTokens();
go({ step: 0 });
