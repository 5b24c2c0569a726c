"use strict";
/* The photographs: filters that live in the address, and a grid that holds only the rows in sight. */
har.gallery = (() => {
  const { el, load, address } = har;
  const FILTERS = ["q", "split", "label", "task", "model", "verdict", "says", "sort"];
  const byId = (id) => document.getElementById(id);
  const form = byId("filters"), grid = byId("grid");
  let data = null; // what the pipeline packed, and what is derived from it
  let ready = null;
  let filters = {};
  let found = []; // places of the images that fit, in order
  let previous = null; // the image that the dialog showed last
  let opening = false; // a card was activated
  let fresh = false; // the view was entered since the grid was drawn

  /* ---- data ---- */

  function unpack(text, Kind) {
    const raw = atob(text), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    return new Kind(bytes.buffer);
  }

  /* A record once, when it is first asked for. */
  function once(read) {
    const made = new Map();
    return (key) => {
      if (!made.has(key)) made.set(key, read(key));
      return made.get(key);
    };
  }

  async function script(name) {
    await load(`page/data/${name}.js`);
    return harData[name];
  }

  /* What is told of the images of part k, and their captions as the search looks at them. */
  const part = once(async (k) => {
    const found = await script(`images/${k}`);
    return { ...found, text: found.captions.map((captions) => captions.join("\n").toLowerCase()) };
  });
  const partOf = (i) => [Math.floor(i / data.images.part), i % data.images.part];

  /* Everything about image i, one value a name. */
  async function about(i) {
    const [k, at] = partOf(i), { text, traits, ...columns } = await part(k);
    const found = Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, values[at]]));
    return { ...found, traits: Object.entries(traits).map(([name, values]) => [name, values[at]]) };
  }

  /* A model's answers, unpacked. Per image the class that most runs say (a tie goes to the larger mean probability), how
     many runs say so, the mean probability of that class and of the label. Arrays over the model's own rows; `row` leads
     to them from `count` images. */
  function opened(record, count) {
    const rows = unpack(record.rows, Uint32Array), row = new Int32Array(count).fill(-1);
    rows.forEach((i, r) => { row[i] = r; });
    const share = (text) => Float32Array.from(unpack(text, Uint16Array), (steps) => steps / 65535);
    return { n: rows.length, row, says: unpack(record.says, Uint16Array), sure: share(record.sure), truth: share(record.truth) };
  }

  const summary = once(async (key) => {
    const record = await script(`models/${key}`), model = data.models.get(key);
    Object.assign(model, opened(record, data.images.id.length), { agree: unpack(record.agree, Uint8Array) });
  });

  /* Each model's answers about the images of part k, with each run's probabilities p and the class that it tells. */
  const answers = once(async (k) => {
    const records = await script(`answers/${k}`);
    return [...data.models.values()].map((model) => {
      const mine = { ...model, ...opened(records[model.key], data.images.part) };
      const p = unpack(records[model.key].probabilities, Uint16Array), size = model.classes.length;
      const told = new Uint16Array(mine.n * model.runs);
      for (let t = 0; t < told.length; t++) {
        for (let c = 1; c < size; c++) if (p[t * size + c] > p[t * size + told[t]]) told[t] = c;
      }
      return { ...mine, p, told };
    });
  });

  /* Those models that were asked about image i, with its row in them. */
  async function asked(i) {
    const [k, at] = partOf(i);
    return (await answers(k)).filter((model) => model.row[at] >= 0).map((model) => ({ ...model, r: model.row[at] }));
  }

  async function read() {
    await Promise.all([load("page/data/images.js"), load("page/data/models.js")]);
    const images = harData.images, { models, tallies } = harData.models;
    for (const counts of Object.values(tallies)) {
      for (const name of ["asked", "right"]) counts[name] = unpack(counts[name], Uint8Array);
    }
    const runs = (model) => ({ ...model, runs: model.seeds.length });
    data = {
      images, tallies, models: new Map(models.map((model) => [model.key, runs(model)])),
      place: new Map(images.id.map((id, i) => [id, i])), text: null,
    };
    options();
  }

  const words = (q) => (/^\d+$/.test(q.trim()) ? [] : q.toLowerCase().split(/\s+/).filter(Boolean));

  /* What these filters look at beyond what is always there. */
  async function needed(wanted) {
    const waits = [];
    if (wanted.model) waits.push(summary(wanted.model));
    if (words(wanted.q).length && !data.text) {
      const parts = Array.from({ length: Math.ceil(data.images.id.length / data.images.part) }, (_, k) => part(k));
      waits.push(Promise.all(parts).then((all) => { data.text = all.flatMap((one) => one.text); }));
    }
    await Promise.all(waits);
  }

  /* How many of the models of a task (the first where none is chosen) that see the picture were asked about image i of
     test or extended, and how many are right. A model's prediction is that of its mean probability over runs. */
  function tally(i, task) {
    const { asked, right } = data.tallies[task || Object.keys(data.images.tasks)[0]];
    return { asked: asked[i], right: right[i] };
  }

  const unasked = (i) => `in ${data.images.splits[data.images.split[i]]}: not counted`;

  /* ---- the address ---- */

  function link(changes) {
    const query = new URLSearchParams();
    const all = { ...filters, image: address().query.get("image"), ...kept(), ...changes };
    for (const [name, value] of Object.entries(all)) if (value) query.set(name, value);
    const text = query.toString();
    return text ? `#images?${text}` : "#images";
  }

  /* What the dialog keeps in the address. */
  function kept() {
    const query = address().query, all = {};
    for (const name of ["map", "class", "opacity"]) all[name] = query.get(name);
    return all;
  }

  function go(changes, replace = false) {
    const target = link(changes);
    if (target === location.hash) return;
    const state = history.state;
    if (!replace) {
      location.hash = target;
      return;
    }
    location.replace(target);
    history.replaceState(state, "");
  }

  /* Back to the grid: one step back where the photograph was opened from it, else in place. */
  function leave(changes) {
    if (history.state?.opened) history.back();
    else go(changes, true);
  }

  /* ---- filters ---- */

  const title = (text) => text[0].toUpperCase() + text.slice(1);

  function choose(name, choices, disabled = false) {
    const select = form.elements[name];
    select.replaceChildren(...choices.map((choice) => {
      if (choice.group) {
        return el("optgroup", { label: choice.group }, choice.choices.map(([value, text]) => el("option", { value }, text)));
      }
      return el("option", { value: choice[0] }, choice[1]);
    }));
    select.disabled = disabled;
  }

  function options() {
    const { images, models } = data, model = models.get(filters.model), task = filters.task;
    const present = new Set(images.split);
    choose("split", [["", "All splits"], ...images.splits.filter((_, k) => present.has(k)).map((s) => [s, title(s)])]);
    const within = task ? images.tasks[task] : images.classes.map((_, k) => k);
    choose("label", [["", "All labels"], ...within.map((k) => [images.classes[k], title(images.classNames[k])])]);
    choose("task", [["", "All tasks"], ...Object.keys(images.tasks).map((t) => [t, title(t)])]);
    const groups = Object.keys(images.tasks).filter((t) => !task || t === task).map((t) => ({
      group: title(t), choices: [...models.values()].filter((m) => m.task === t).map((m) => [m.key, m.name]),
    }));
    choose("model", [["", "All models"], ...groups]);
    choose("verdict", model
      ? [["", "Right or wrong"], ["right", "Right"], ["wrong", "Wrong"], ["mixed", "Runs disagree"]]
      : [["", "Right or wrong"], ["right", "Every model right"], ["mixed", "Some models right"], ["wrong", "No model right"]]);
    choose("says", [["", model ? "Any class" : "Choose a model first"],
      ...(model ? model.classes.map((k) => [images.classes[k], title(images.classNames[k])]) : [])], !model);
    choose("sort", model
      ? [["", "Image id"], ["confident", "Most confident first"], ["unsure", "Least confident first"], ["worst", "Least probability of its label first"]]
      : [["", "Image id"], ["hard", "Fewest models right first"], ["easy", "Most models right first"]]);
    for (const name of FILTERS) {
      const field = form.elements[name];
      if (document.activeElement === field && name === "q") continue;
      field.value = filters[name] ?? "";
      if (field.selectedIndex === -1) field.selectedIndex = 0;
    }
  }

  /* Filters as the address has them, without those that name nothing. */
  function understood(query) {
    const { images, models } = data, all = {};
    for (const name of FILTERS) all[name] = query.get(name) ?? "";
    const task = all.task in images.tasks ? all.task : "";
    const model = models.get(all.model);
    return {
      q: all.q.slice(0, 200),
      task,
      split: images.splits.includes(all.split) ? all.split : "",
      label: images.classes.includes(all.label) ? all.label : "",
      model: model && (!task || model.task === task) ? all.model : "",
      verdict: ["right", "wrong", "mixed"].includes(all.verdict) ? all.verdict : "",
      says: model && images.classes.includes(all.says) ? all.says : "",
      sort: (model ? ["confident", "unsure", "worst"] : ["hard", "easy"]).includes(all.sort) ? all.sort : "",
    };
  }

  function fits(without = []) {
    const { images, models, text } = data;
    const f = Object.fromEntries(FILTERS.map((name) => [name, without.includes(name) ? "" : filters[name]]));
    const model = models.get(f.model), split = images.splits.indexOf(f.split), label = images.classes.indexOf(f.label);
    const says = images.classes.indexOf(f.says), wanted = words(f.q);
    const task = f.task && images.tasks[f.task];
    const id = /^\d+$/.test(f.q.trim()) ? String(Number(f.q.trim())) : null;
    const out = [];
    for (let i = 0; i < images.id.length; i++) {
      if (split >= 0 && images.split[i] !== split) continue;
      if (label >= 0 && images.label[i] !== label) continue;
      if (task && !task.includes(images.label[i])) continue;
      if (id !== null ? !String(images.id[i]).startsWith(id) : !wanted.every((word) => text[i].includes(word))) continue;
      if (model && (f.verdict || says >= 0)) {
        const r = model.row[i];
        if (r < 0 || (says >= 0 && model.says[r] !== says)) continue;
        if (f.verdict === "mixed" ? model.agree[r] === model.runs
          : f.verdict && (model.says[r] === images.label[i]) !== (f.verdict === "right")) continue;
      } else if (f.verdict) {
        const { asked, right } = tally(i, f.task);
        const verdict = right === asked ? "right" : right === 0 ? "wrong" : "mixed";
        if (!asked || verdict !== f.verdict) continue;
      }
      out.push(i);
    }
    return out;
  }

  function ordered(list) {
    const model = data.models.get(filters.model), sort = filters.sort;
    if (!sort) return list;
    const share = (i) => { const { asked, right } = tally(i, filters.task); return asked ? right / asked : null; };
    const value = {
      confident: (r) => -model.sure[r], unsure: (r) => model.sure[r], worst: (r) => model.truth[r],
    }[sort];
    const key = (i) => {
      if (model) return model.row[i] < 0 ? null : value(model.row[i]);
      const s = share(i);
      return s === null ? null : sort === "hard" ? s : -s;
    };
    const keyed = list.map((i) => [key(i), i]);
    // images that were not asked about come last
    keyed.sort(([a, i], [b, j]) => (a === null) - (b === null) || a - b || i - j);
    return keyed.map(([, i]) => i);
  }

  /* ---- confusion: true class against predicted class, each cell a filter ---- */

  function confusion() {
    const box = byId("confusion"), { images, models } = data, model = models.get(filters.model);
    box.hidden = !model;
    if (!model) return;
    const counts = model.classes.map(() => model.classes.map(() => 0));
    for (const i of fits(["label", "says", "verdict"])) {
      const r = model.row[i], truth = model.classes.indexOf(images.label[i]);
      if (r >= 0 && truth >= 0) counts[truth][model.classes.indexOf(model.says[r])]++;
    }
    const names = model.classes.map((k) => images.classNames[k]);
    const head = el("tr", {}, el("td"), names.map((name) => el("th", { scope: "col" }, name)));
    const rows = counts.map((row, a) => {
      const total = row.reduce((sum, count) => sum + count, 0);
      return el("tr", {}, el("th", { scope: "row" }, names[a]), row.map((count, b) => {
        const label = images.classes[model.classes[a]], says = images.classes[model.classes[b]];
        const pressed = filters.label === label && filters.says === says;
        const cell = el("a", {
          href: pressed ? link({ label: "", says: "", image: "" }) : link({ label, says, verdict: "", image: "" }),
          class: a === b ? "hit" : "miss", "aria-current": pressed ? "true" : null,
          "aria-label": `${count} images labelled ${names[a]}, ${model.name} predicts ${names[b]}`,
        }, el("b", {}, String(count)), el("small", {}, total ? `${Math.round(100 * count / total)} %` : ""));
        cell.style.setProperty("--share", `${total ? Math.round(70 * count / total) : 0}%`);
        return el("td", {}, cell);
      }));
    });
    box.replaceChildren(el("table", {},
      el("caption", {}, `${model.name}, ${model.task}: label (rows) and predicted class (columns), by the mean probability over ${model.runs === 1 ? "one run" : `${model.runs} runs`}`),
      el("thead", {}, head), el("tbody", {}, rows)));
  }

  /* ---- the grid ---- */

  const cells = new Map(); // position in `found` to its element
  let shape = { columns: 1, width: 0, height: 0, gap: 12 };

  function measure() {
    const width = grid.clientWidth, gap = width < 560 ? 8 : 14;
    const columns = Math.max(2, Math.floor((width + gap) / ((width < 560 ? 150 : 210) + gap)));
    const cell = (width - gap * (columns - 1)) / columns;
    shape = { columns, width: cell, height: Math.round(cell * 0.75) + 58, gap };
    const rows = Math.ceil(found.length / columns);
    grid.style.height = `${Math.max(0, rows * (shape.height + gap) - gap)}px`;
  }

  function verdict(i) {
    const { images, models } = data, model = models.get(filters.model);
    if (model) {
      const r = model.row[i];
      if (r < 0) return el("span", { class: "verdict" }, images.splits[images.split[i]] === "train" ? "in train: not asked" : "not asked");
      const right = model.says[r] === images.label[i], name = images.classNames[model.says[r]];
      const runs = model.runs > 1 ? `, ${model.agree[r]}/${model.runs} runs` : "";
      return el("span", { class: `verdict ${right ? "right" : "wrong"}` },
        el("span", { class: "sign", "aria-hidden": "true" }, right ? "✓" : "✗"),
        ` ${right ? "right" : name} ${model.sure[r].toFixed(2)}${runs}`);
    }
    const { asked, right } = tally(i, filters.task);
    return el("span", { class: "verdict" }, asked ? `${right} of ${asked} models right` : unasked(i));
  }

  function cell(position) {
    const { images } = data, i = found[position], label = images.label[i];
    const image = el("img", { src: `page/thumbnails/${images.id[i]}.jpg`, alt: "", loading: "lazy", decoding: "async" });
    about(i).then(({ captions }) => { image.alt = captions[0] ?? ""; }, () => {}); // without its part: no text
    const card = el("a", { class: "card", href: link({ image: String(images.id[i]) }), "data-position": position, "data-image": images.id[i] },
      el("span", { class: "frame" }, image),
      el("span", { class: "label" }, el("i", { class: `dot c${label % 6}`, "aria-hidden": "true" }), images.classNames[label],
        el("span", { class: "split" }, images.splits[images.split[i]])),
      verdict(i));
    const item = el("li", { "aria-posinset": position + 1, "aria-setsize": found.length }, card);
    const row = Math.floor(position / shape.columns), column = position % shape.columns;
    item.style.width = `${shape.width}px`;
    item.style.height = `${shape.height}px`;
    item.style.transform = `translate(${column * (shape.width + shape.gap)}px, ${row * (shape.height + shape.gap)}px)`;
    return item;
  }

  /* Keeps the rows in sight and a screen around them, and whatever holds the focus. */
  function draw() {
    if (byId("images").hidden || !data) return;
    const top = -grid.getBoundingClientRect().top, step = shape.height + shape.gap;
    const first = Math.max(0, Math.floor((top - innerHeight / 2) / step)) * shape.columns;
    const last = Math.min(found.length, Math.ceil((top + innerHeight * 1.5) / step) * shape.columns);
    for (const [position, item] of cells) {
      if ((position < first || position >= last) && !item.contains(document.activeElement)) {
        item.remove();
        cells.delete(position);
      }
    }
    const fresh = [];
    for (let position = first; position < last; position++) {
      if (cells.has(position)) continue;
      const item = cell(position);
      cells.set(position, item);
      fresh.push([position, item]);
    }
    // in the order of the images, for those who tab or listen
    for (const [position, item] of fresh) {
      let next = null;
      for (const other of grid.children) {
        if (Number(other.firstElementChild.dataset.position) > position) { next = other; break; }
      }
      grid.insertBefore(item, next);
    }
  }

  /* The grid anew; whoever stood on a photograph that is still in sight stands on it again. */
  function redraw() {
    const stood = grid.contains(document.activeElement) ? document.activeElement.dataset.image : null;
    cells.clear();
    grid.replaceChildren();
    measure();
    draw();
    if (stood) cells.get(found.indexOf(data.place.get(Number(stood))))?.firstElementChild.focus({ preventScroll: true });
  }

  function focus(position) {
    if (position < 0 || position >= found.length) return;
    const top = grid.getBoundingClientRect().top + scrollY + Math.floor(position / shape.columns) * (shape.height + shape.gap);
    const bar = document.querySelector(".bar").offsetHeight + 8;
    if (top < scrollY + bar) scrollTo(0, top - bar);
    else if (top + shape.height > scrollY + innerHeight - 8) scrollTo(0, top + shape.height - innerHeight + 8);
    draw();
    cells.get(position)?.firstElementChild.focus({ preventScroll: true });
  }

  /* ---- what the page's frame calls ---- */

  let turns = 0;
  async function show(entered) {
    const turn = ++turns;
    fresh ||= entered;
    try {
      ready ??= read();
      await ready;
      await needed(understood(address().query));
    } catch (error) {
      byId("count").textContent = error.message;
      return;
    }
    const { view, query } = address();
    if (view !== "images" || turn !== turns) return;
    const now = understood(query), before = JSON.stringify(filters);
    filters = now;
    if (fresh || JSON.stringify(now) !== before || !grid.childElementCount) {
      fresh = false;
      options();
      found = ordered(fits());
      const total = data.images.id.length;
      byId("count").textContent = found.length === total ? `${total.toLocaleString("en")} images`
        : `${found.length.toLocaleString("en")} of ${total.toLocaleString("en")} images`;
      byId("none").hidden = found.length > 0;
      confusion();
      redraw();
    }
    const id = Number(query.get("image")), place = data.place.get(id);
    if (query.get("image") && place !== undefined) {
      if (opening) history.replaceState({ opened: true }, "");
      opening = false;
      previous = place;
      har.detail.show(place);
    } else {
      har.detail.hide();
      if (previous !== null) focus(found.indexOf(previous));
      previous = null;
    }
  }

  function hide() {
    turns++;
    har.detail.hide();
    previous = null;
  }

  let typing = 0;
  function changed({ name, value }) {
    if (!data || !FILTERS.includes(name)) return;
    const changes = { [name]: value.trim() };
    if (name === "task") changes.model = changes.verdict = changes.says = changes.sort = "";
    if (name === "model") changes.says = changes.sort = "";
    if (name === "task" && filters.label && value && !data.images.tasks[value].includes(data.images.classes.indexOf(filters.label))) changes.label = "";
    clearTimeout(typing);
    if (name === "q") typing = setTimeout(() => go(changes, filters.q !== ""), 120); // one step back for a whole word
    else go(changes);
  }
  form.addEventListener("input", ({ target }) => { if (target.name === "q") changed(target); });
  form.addEventListener("change", ({ target }) => { if (target.name !== "q") changed(target); });
  form.addEventListener("submit", (event) => event.preventDefault());
  const clear = () => {
    form.elements.q.value = "";
    location.hash = "#images";
  };
  form.addEventListener("reset", (event) => { event.preventDefault(); clear(); });
  byId("clear").addEventListener("click", clear);

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const typed = event.target.closest?.("input, select, textarea, [contenteditable]");
    if (event.key === "/" && !typed && !byId("detail").open) {
      event.preventDefault();
      if (address().view !== "images") location.hash = "#images";
      document.querySelector(".filter-box").open = true;
      const ask = () => (byId("images").hidden ? requestAnimationFrame(ask) : form.elements.q.focus());
      ask();
      return;
    }
    const card = event.target.closest?.(".card");
    if (!card) return;
    const position = Number(card.dataset.position);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: shape.columns, ArrowUp: -shape.columns, Home: -position, End: found.length - 1 - position }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    focus(Math.min(Math.max(position + step, event.key === "ArrowUp" ? position % shape.columns : 0), found.length - 1));
  });

  grid.addEventListener("click", (event) => {
    opening = Boolean(event.target.closest(".card")) && !event.ctrlKey && !event.metaKey && !event.shiftKey;
  });

  let waiting = false;
  addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  }, { passive: true });
  new ResizeObserver(() => {
    if (data && !byId("images").hidden && Math.abs(grid.clientWidth - shape.columns * (shape.width + shape.gap) + shape.gap) > 0.5) redraw();
  }).observe(grid);
  if (innerWidth < 720) document.querySelector(".filter-box").open = false;

  return {
    show, hide, go, leave, link, about, asked,
    get data() { return data; },
    get found() { return found; },
    unpack,
  };
})();
