"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const SIGNS = {
  pass: ["✓", "passes"],
  known: ["≠", "a known difference, with its reason"],
  fail: ["✗", "fails, not explained"],
  none: ["–", "not asked: it has no such thing"],
};
const KIND = { pass: "pass", "expected failure": "known", fail: "fail", error: "fail", "unexpected pass": "fail", unsupported: "none" };
const at = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// An id that a line may end in behind each of its words.
const parted = (id) => id.split(/(?<=[.#-])/).flatMap((part) => [part, make("wbr")]);

// Text in which `words` between backticks are code.
const rich = (text) => text.split("`").map((part, n) => (n % 2 ? make("code", {}, part) : part));

const casesOf = new Map(data.clauses.map((clause) => [clause.id, []]));
data.cases.forEach((found, index) => casesOf.get(found.clause)?.push(index));
const chapterOf = (id) => id.split(".")[0];
const chapters = [...new Set(data.clauses.map((clause) => chapterOf(clause.id)))];
const kindOf = (subject, index) => KIND[subject.results[index]?.verdict ?? "unsupported"];

function tally(subject, indices) {
  const counts = { pass: 0, known: 0, fail: 0, none: 0 };
  for (const index of indices) counts[kindOf(subject, index)] += 1;
  const asked = indices.length - counts.none;
  const kind = counts.fail ? "fail" : counts.known ? "known" : counts.pass ? "pass" : "none";
  return { ...counts, asked, kind };
}

function drawLegend() {
  for (const [kind, [sign, meaning]] of Object.entries(SIGNS)) {
    at("legend").append(make("li", {}, make("span", { class: `cell ${kind}`, "aria-hidden": "true" }, sign), meaning));
  }
}

function drawTotals() {
  const head = ["implementation", "version", "runs on", "asked", "", "passes", "known differences", "unexplained", "not asked", "worst error/floor of a pass"];
  const row = make("tr");
  head.forEach((text, n) => row.append(make("th", { scope: "col", class: n > 4 ? "number" : n === 2 ? "runs-on" : "" }, text)));
  at("totals").append(make("thead", {}, row));
  const body = make("tbody");
  for (const subject of data.subjects) {
    const all = tally(subject, data.cases.map((_, index) => index));
    const ratios = subject.results.filter((r) => r?.verdict === "pass" && r.error_over_floor !== undefined).map((r) => r.error_over_floor);
    const bar = make("div", { class: "bar", title: `${all.pass} of ${all.asked} asked` });
    for (const kind of ["pass", "known", "fail"]) bar.append(make("i", { class: kind, style: `width:${(100 * all[kind]) / data.cases.length}%` }));
    const number = (text) => make("td", { class: "number" }, String(text));
    body.append(make("tr", {}, make("th", { scope: "row" }, subject.label), make("td", {}, subject.version), make("td", { class: "soft runs-on" }, subject.backend),
      make("td", { class: "soft", title: subject.processor ?? "" }, subject.asked), make("td", {}, bar), number(all.pass), number(all.known), number(all.fail), number(all.none), number(ratios.length ? Math.max(...ratios).toFixed(2) : "–")));
  }
  at("totals").append(body);
}

function drawHead() {
  const row = make("tr", {}, make("th", { scope: "col" }, "clause"));
  for (const subject of data.subjects) row.append(make("th", { scope: "col", class: "subject" }, subject.label));
  at("matrix").append(make("thead", {}, row), make("tbody"));
}

function wanted(clause, indices) {
  const chapter = at("chapter").value, rows = at("rows").value;
  const words = at("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  if (chapter && chapterOf(clause.id) !== chapter) return false;
  const text = [clause.id, clause.sentence, ...indices.flatMap((n) => [data.cases[n].id, data.cases[n].about, ...data.cases[n].flags])].join(" ").toLowerCase();
  if (!words.every((word) => text.includes(word))) return false;
  if (!rows) return true;
  const kinds = data.subjects.map((subject) => tally(subject, indices).kind);
  if (rows === "bad") return kinds.includes("fail");
  if (rows === "known") return kinds.includes("known");
  return new Set(kinds.filter((kind) => kind !== "none")).size > 1;
}

function drawBody() {
  const body = at("matrix").tBodies[0];
  body.replaceChildren();
  let shown = 0;
  for (const chapter of chapters) {
    const clauses = data.clauses.filter((clause) => chapterOf(clause.id) === chapter && wanted(clause, casesOf.get(clause.id)));
    if (!clauses.length) continue;
    shown += clauses.length;
    const heading = make("tr", { class: "chapter" }, make("th", { scope: "rowgroup" }, chapter));
    const indices = clauses.flatMap((clause) => casesOf.get(clause.id));
    for (const subject of data.subjects) {
      const all = tally(subject, indices);
      heading.append(make("td", {}, all.asked ? `${all.pass}/${all.asked}` : ""));
    }
    body.append(heading);
    for (const clause of clauses) body.append(drawRow(clause));
  }
  at("count").textContent = `${shown} of ${data.clauses.length} clauses`;
}

function drawRow(clause) {
  const indices = casesOf.get(clause.id);
  const name = make("th", { scope: "row", title: clause.sentence }, make("span", { class: "id" }, ...parted(clause.id)), make("small", {}, ...rich(clause.sentence)));
  const row = make("tr", {}, name);
  data.subjects.forEach((subject, column) => {
    const all = tally(subject, indices);
    const count = all.asked > 1 ? make("small", {}, `${all.pass}/${all.asked}`) : null;
    const label = `${clause.id}, ${subject.label}: ${SIGNS[all.kind][1]}${all.asked ? `, ${all.pass} of ${all.asked} cases pass` : ""}`;
    const cell = make("button", { type: "button", class: `cell ${all.kind}`, "aria-label": label, "aria-expanded": "false" }, SIGNS[all.kind][0], count);
    cell.addEventListener("click", () => { location.hash = `${clause.id}/${data.subjects[column].slug}`; });
    cell.dataset.place = `${clause.id}/${subject.slug}`;
    row.append(make("td", {}, cell));
  });
  return row;
}

function definition(list, term, value, tag = "span") {
  if (value === undefined || value === null || value === "") return;
  list.append(make("dt", {}, term), tag === "span" ? make("dd", {}, ...rich(value)) : make("dd", {}, make(tag, { class: "wrap" }, value)));
}

function drawCase(subject, index) {
  const asked = data.cases[index];
  const found = subject.results[index] ?? { verdict: "unsupported", message: "was not there when this implementation was asked" };
  const kind = kindOf(subject, index);
  const [reason, difference] = found.verdict === "expected failure" ? found.message.split(" | ") : [null, found.message];
  const list = make("dl");
  definition(list, "asked", asked.about);
  definition(list, "verdict", found.verdict);
  definition(list, "reason", reason ?? (kind === "none" ? found.message : null));
  definition(list, kind === "pass" ? "note" : "first difference", kind === "none" ? null : difference, kind === "pass" ? "span" : "pre");
  definition(list, "arises in", found.first_difference);
  if (found.error_over_floor !== undefined) {
    const most = found.percentile_99_over_floor === undefined ? "" : `, 99th percentile ${found.percentile_99_over_floor.toPrecision(3)}`;
    definition(list, "error / floor", `${found.error_over_floor.toPrecision(3)}${most} (at most 4 passes)`);
  }
  if (kind !== "pass" && kind !== "none") for (const flag of asked.flags) definition(list, flag, data.flags[flag]);
  const parts = [make("h3", {}, make("span", { class: `cell ${kind}` }, SIGNS[kind][0]), " ", make("span", { class: "id" }, ...parted(asked.id))), list];
  if (kind !== "none") parts.push(make("pre", { class: "wrap" }, `${subject.again} --only '${asked.id}'`));
  const named = /finding ([\w-]+)|divergence ([\w-]+)/.exec(reason ?? "");
  const text = named && data.findings[named[1] ?? named[2]];
  if (text) {
    const more = make("details", {}, make("summary", {}, `Finding ${named[1] ?? named[2]}`));
    more.insertAdjacentHTML("beforeend", text);
    parts.push(more);
  }
  return parts;
}

function openPanel() {
  const [id, slug] = decodeURIComponent(location.hash.slice(1)).split("/");
  const clause = data.clauses.find((c) => c.id === id), subject = data.subjects.find((s) => s.slug === slug);
  for (const cell of document.querySelectorAll("#matrix .cell")) cell.setAttribute("aria-expanded", String(cell.dataset.place === `${id}/${slug}`));
  const panel = at("panel");
  panel.hidden = !(clause && subject);
  if (panel.hidden) return;
  const close = make("button", { id: "close", "aria-label": "Close" }, "×");
  close.addEventListener("click", () => closePanel());
  const who = `${subject.label} ${subject.version} (${subject.backend}), asked on ${subject.asked}${subject.processor ? ` (${subject.processor})` : ""}`;
  panel.replaceChildren(close, make("h2", {}, ...parted(clause.id)), make("p", {}, ...rich(clause.sentence)), make("p", { class: "soft" }, "Why: ", ...rich(clause.why)),
    make("p", { class: "soft" }, `Status: ${clause.status}`), make("p", {}, make("b", {}, who)), ...casesOf.get(id).flatMap((index) => drawCase(subject, index)));
  panel.scrollTop = 0;
  panel.focus({ preventScroll: true });
}

function closePanel() {
  const place = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname + location.search);
  openPanel();
  document.querySelector(`#matrix [data-place="${CSS.escape(place)}"]`)?.focus();
}

for (const chapter of chapters) at("chapter").append(make("option", { value: chapter }, chapter));
for (const id of ["find", "chapter", "rows"]) at(id).addEventListener("input", () => { drawBody(); openPanel(); });
at("filters").addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", openPanel);
addEventListener("keydown", (event) => { if (event.key === "Escape" && !at("panel").hidden) closePanel(); });
drawLegend();
drawTotals();
drawHead();
drawBody();
openPanel();
