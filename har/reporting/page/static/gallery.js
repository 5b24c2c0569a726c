"use strict";
/* The photographs: filters that live in the address, and a grid that holds only the rows in sight. */
har.gallery = (() => {
  const { el, load, address } = har;
  const FILTERS = ["q", "split", "label", "task", "model", "other", "verdict", "says", "othersays", "box", "sort"]; // and the factors
  const HELD_OUT = ["test", "extended"];
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

  /* A model's answers, unpacked. Per image the class of the largest mean probability over runs, that probability, and
     that of the label. Arrays over the model's own rows; `row` leads to them from `count` images. */
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
      for (const name of ["asked", "right", "alike"]) counts[name] = unpack(counts[name], Uint8Array);
    }
    const runs = (model) => ({ ...model, runs: model.seeds.length });
    for (const factor of images.factors) {
      factor.keys = Object.keys(factor.bins);
      factor.of = unpack(factor.of, Uint8Array);
    }
    FILTERS.push(...images.factors.map((factor) => factor.name));
    data = {
      images, tallies, points: images.plane && unpack(images.plane.points, Uint16Array), models: new Map(models.map((model) => [model.key, runs(model)])),
      place: new Map(images.id.map((id, i) => [id, i])), text: null,
    };
    factors();
  }

  const words = (q) => (/^\d+$/.test(q.trim()) ? [] : q.toLowerCase().split(/\s+/).filter(Boolean));

  /* What these filters look at beyond what is always there. */
  async function needed(wanted) {
    const waits = [];
    for (const key of [wanted.model, wanted.other]) if (key) waits.push(summary(key));
    if (words(wanted.q).length && !data.text) {
      const parts = Array.from({ length: Math.ceil(data.images.id.length / data.images.part) }, (_, k) => part(k));
      waits.push(Promise.all(parts).then((all) => { data.text = all.flatMap((one) => one.text); }));
    }
    await Promise.all(waits);
  }

  /* How many of the models of a task (the first where none is chosen) that see the picture were asked about image i of
     test or extended, how many are right, and how many predict the class that most of them predict. A model's prediction is that of its mean probability over runs. */
  function tally(i, task) {
    const { asked, right, alike } = data.tallies[task || Object.keys(data.images.tasks)[0]];
    return { asked: asked[i], right: right[i], alike: alike[i] };
  }

  const right = (model, i) => model.says[model.row[i]] === data.images.label[i];
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

  /* What does not change: a field for each factor, and what the map shows. */
  function factors() {
    const { images } = data;
    byId("factors").hidden = !images.factors.length;
    byId("factors").lastElementChild.replaceChildren(...images.factors.map(({ name, title: text, keys, bins }) =>
      el("div", { class: "field" }, el("label", { for: `f-${name}` }, text),
        el("select", { id: `f-${name}`, name }, el("option", { value: "" }, "Any"), keys.map((key) => el("option", { value: key }, title(bins[key])))))));
    byId("plane").hidden = !images.plane;
    if (address().query.get("box")) byId("plane").open = true;
    if (!images.plane) return;
    byId("map-about").textContent = `Each image's embedding by ${images.plane.encoder}, on the two directions in which all of them differ most (principal components, ${share(images.plane.explained, 1)} of the variance). Images that do not fit the filters are faint.`;
    if (images.classNames.length > MARKED) return;
    byId("map-legend").replaceChildren(...images.classNames.map((name, k) => el("span", {}, el("i", { class: `dot c${k % 6}`, "aria-hidden": "true" }), name)));
  }

  /* What can be asked of the predictions of one model, of two, or of all; value and text. */
  function verdicts(model, other) {
    if (other) {
      return [["first", `Only ${model.name} right`], ["second", `Only ${other.name} right`], ["both", "Both right"],
        ["neither", "Both wrong"], ["differ", "They predict different classes"]];
    }
    if (model) return [["right", "Right"], ["wrong", "Wrong"], ["mixed", "Runs disagree"]];
    return [["right", "Every model right"], ["mixed", "Some models right"], ["wrong", "No model right"]];
  }

  function sorts(model, other) {
    if (!model) return [["hard", "Fewest models right first"], ["easy", "Most models right first"], ["split", "Models that disagree most first"]];
    return [["worst", "Largest loss first"], ["confident", "Most confident first"], ["unsure", "Least confident first"],
      ...(model.runs > 1 ? [["runs", "Runs that disagree first"]] : []), ...(other ? [["gap", "Models that disagree most first"]] : [])];
  }

  function options() {
    const { images, models } = data, model = models.get(filters.model), other = models.get(filters.other), task = filters.task;
    const present = new Set(images.split), splits = images.splits.filter((_, k) => present.has(k));
    choose("split", [["", "All splits"], ...splits.map((s) => [s, title(s)]),
      ...(HELD_OUT.every((s) => splits.includes(s)) ? [["held_out", "Held out"]] : [])]);
    const within = task ? images.tasks[task] : images.classes.map((_, k) => k);
    choose("label", [["", "All labels"], ...within.map((k) => [images.classes[k], title(images.classNames[k])])]);
    choose("task", [["", "All tasks"], ...Object.keys(images.tasks).map((t) => [t, title(t)])]);
    const groups = Object.keys(images.tasks).filter((t) => !task || t === task).map((t) => ({
      group: title(t), choices: [...models.values()].filter((m) => m.task === t).map((m) => [m.key, m.name]),
    }));
    choose("model", [["", "All models"], ...groups]);
    choose("other", model
      ? [["", "No other model"], ...[...models.values()].filter((m) => m.task === model.task && m !== model).map((m) => [m.key, m.name])]
      : [["", "Choose a model first"]], !model);
    choose("verdict", [["", "Right or wrong"], ...verdicts(model, other)]);
    choose("says", [["", model ? "Any class" : "Choose a model first"],
      ...(model ? model.classes.map((k) => [images.classes[k], title(images.classNames[k])]) : [])], !model);
    choose("sort", [["", "Image id"], ...sorts(model, other)]);
    for (const name of FILTERS) {
      const field = form.elements[name];
      if (!field) continue; // set by a table or by the map
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
    const model = (!task || models.get(all.model)?.task === task) && models.get(all.model);
    const other = model && all.other !== all.model && models.get(all.other)?.task === model.task && models.get(all.other);
    const known = (name, values) => (values.includes(all[name]) ? all[name] : "");
    const offered = (name, choices) => known(name, choices.map(([value]) => value));
    return {
      ...Object.fromEntries(images.factors.map(({ name, keys }) => [name, known(name, keys)])),
      q: all.q.slice(0, 200),
      task,
      split: known("split", [...images.splits, "held_out"]),
      label: known("label", images.classes),
      model: model ? all.model : "",
      other: other ? all.other : "",
      verdict: offered("verdict", verdicts(model, other)),
      says: model ? known("says", images.classes) : "",
      othersays: other ? known("othersays", images.classes) : "",
      box: images.plane && boxOf(all.box) ? all.box : "",
      sort: offered("sort", sorts(model, other)),
    };
  }

  /* Whether image i has this verdict: of a model, of two, or of all models that see the picture. */
  function judged(i, verdict, model, other, task) {
    if (!model) {
      const { asked, right: hits } = tally(i, task);
      return asked > 0 && verdict === (hits === asked ? "right" : hits === 0 ? "wrong" : "mixed");
    }
    const a = right(model, i);
    if (!other) return verdict === "mixed" ? model.agree[model.row[i]] < model.runs : a === (verdict === "right");
    const b = right(other, i), differ = model.says[model.row[i]] !== other.says[other.row[i]];
    return { first: a && !b, second: !a && b, both: a && b, neither: !a && !b, differ }[verdict];
  }

  function fits(without = []) {
    const { images, models, text } = data;
    const f = Object.fromEntries(FILTERS.map((name) => [name, without.includes(name) ? "" : filters[name]]));
    const model = models.get(f.model), other = models.get(f.other), label = images.classes.indexOf(f.label);
    const splits = (f.split === "held_out" ? HELD_OUT : [f.split]).map((name) => images.splits.indexOf(name));
    const says = images.classes.indexOf(f.says), othersays = images.classes.indexOf(f.othersays), wanted = words(f.q);
    const bins = images.factors.filter(({ name }) => f[name]).map(({ name, keys, of }) => [of, keys.indexOf(f[name])]);
    const box = boxOf(f.box), asks = f.verdict || says >= 0 || othersays >= 0;
    const task = f.task && images.tasks[f.task];
    const id = /^\d+$/.test(f.q.trim()) ? String(Number(f.q.trim())) : null;
    const out = [];
    for (let i = 0; i < images.id.length; i++) {
      if (f.split && !splits.includes(images.split[i])) continue;
      if (bins.some(([of, bin]) => of[i] !== bin) || (box && !within(i, box))) continue;
      if (label >= 0 && images.label[i] !== label) continue;
      if (task && !task.includes(images.label[i])) continue;
      if (id !== null ? !String(images.id[i]).startsWith(id) : !wanted.every((word) => text[i].includes(word))) continue;
      if (asks && ((model && model.row[i] < 0) || (other && other.row[i] < 0))) continue;
      if (f.verdict && !judged(i, f.verdict, model, other, f.task)) continue;
      if ((says >= 0 && model.says[model.row[i]] !== says) || (othersays >= 0 && other.says[other.row[i]] !== othersays)) continue;
      out.push(i);
    }
    return out;
  }

  function ordered(list) {
    const model = data.models.get(filters.model), sort = filters.sort;
    if (!sort) return list;
    const other = data.models.get(filters.other);
    const value = {
      confident: (r) => -model.sure[r], unsure: (r) => model.sure[r], worst: (r) => model.truth[r], runs: (r) => model.agree[r],
      gap: (r, s) => -Math.abs(model.truth[r] - other.truth[s]),
      hard: ({ asked, right: hits }) => hits / asked, easy: ({ asked, right: hits }) => -hits / asked, split: ({ asked, alike }) => alike / asked,
    }[sort];
    const key = (i) => {
      if (!model) return tally(i, filters.task).asked ? value(tally(i, filters.task)) : null;
      return model.row[i] < 0 || (sort === "gap" && other.row[i] < 0) ? null : value(model.row[i], other?.row[i]);
    };
    const keyed = list.map((i) => [key(i), i]);
    // images that were not asked about come last
    keyed.sort(([a, i], [b, j]) => (a === null) - (b === null) || a - b || i - j);
    return keyed.map(([, i]) => i);
  }

  /* ---- tables and charts of the chosen models ---- */

  const share = (count, total) => `${total ? Math.round(100 * count / total) : 0} %`;

  /* A table of counts. cell(a, b) tells the filters that a cell sets, whether it is a good one, and what it counts. */
  function matrix(caption, rows, columns, counts, cell) {
    const body = counts.map((row, a) => {
      const total = row.reduce((sum, count) => sum + count, 0);
      return el("tr", {}, el("th", { scope: "row" }, rows[a]), row.map((count, b) => {
        const { set, good, what } = cell(a, b), names = Object.keys(set);
        const pressed = names.every((name) => filters[name] === set[name]);
        const link_ = el("a", {
          href: link({ verdict: "", says: "", othersays: "", image: "", ...(pressed ? Object.fromEntries(names.map((name) => [name, ""])) : set) }),
          class: good ? "hit" : "miss", "aria-current": pressed ? "true" : null, "aria-label": `${count} images: ${what}`,
        }, el("b", {}, count.toLocaleString("en")), el("small", {}, total ? share(count, total) : ""));
        link_.style.setProperty("--share", `${total ? Math.round(70 * count / total) : 0}%`);
        return el("td", {}, link_);
      }));
    });
    return el("table", {}, el("caption", {}, caption),
      el("thead", {}, el("tr", {}, el("td"), columns.map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, body));
  }

  const empty = (rows, columns) => Array.from({ length: rows }, () => new Array(columns).fill(0));

  /* Label against prediction of one model; `says` is the filter of its predictions. */
  function confusion(model, list, says) {
    const { classes, classNames, label } = data.images, counts = empty(model.classes.length, model.classes.length);
    for (const i of list) {
      const truth = model.classes.indexOf(label[i]);
      if (model.row[i] >= 0 && truth >= 0) counts[truth][model.classes.indexOf(model.says[model.row[i]])]++;
    }
    const names = model.classes.map((k) => classNames[k]), name = (k) => classes[model.classes[k]];
    return matrix(`${model.name}, ${model.task}: label (rows) and predicted class (columns), by the mean probability over ${model.runs === 1 ? "one run" : `${model.runs} runs`}`,
      names, names, counts, (a, b) => ({ set: { label: name(a), [says]: name(b) }, good: a === b, what: `labelled ${names[a]}, ${model.name} predicts ${names[b]}` }));
  }

  /* Which of two models is right, and what the one predicts where the other predicts something. */
  function compared(model, other, list) {
    const { classes, classNames } = data.images, size = model.classes.length;
    const outcomes = empty(2, 2), guesses = empty(size, size);
    let both = 0, alike = 0;
    for (const i of list) {
      const r = model.row[i], s = other.row[i];
      if (r < 0 || s < 0) continue;
      both++;
      alike += model.says[r] === other.says[s];
      outcomes[right(model, i) ? 0 : 1][right(other, i) ? 0 : 1]++;
      guesses[model.classes.indexOf(model.says[r])][model.classes.indexOf(other.says[s])]++;
    }
    const verdicts = [["both", "first"], ["second", "neither"]], names = model.classes.map((k) => classNames[k]), sides = ["right", "wrong"];
    return [
      matrix(`${model.name} (rows) and ${other.name} (columns) on ${both.toLocaleString("en")} images`, sides, sides, outcomes,
        (a, b) => ({ set: { verdict: verdicts[a][b] }, good: a === b, what: `${model.name} ${sides[a]}, ${other.name} ${sides[b]}` })),
      matrix(`Predictions of ${model.name} (rows) and ${other.name} (columns): the same class on ${share(alike, both)} of the images`, names, names, guesses,
        (a, b) => ({ set: { says: classes[model.classes[a]], othersays: classes[model.classes[b]] }, good: a === b, what: `${model.name} predicts ${names[a]}, ${other.name} ${names[b]}` })),
    ];
  }

  function svg(tag, attributes, ...children) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  /* Error among the most confident share of the images, for every share. */
  function riskAgainstCoverage(models, list) {
    const curves = models.map((model) => {
      const asked = list.filter((i) => model.row[i] >= 0).sort((i, j) => model.sure[model.row[j]] - model.sure[model.row[i]]);
      let wrong = 0;
      return asked.map((i, k) => (wrong += !right(model, i)) / (k + 1));
    });
    const width = 300, height = 190, left = 40, bottom = 150, top = 8;
    const most = Math.max(0.1, Math.ceil(10 * Math.max(...curves.map((risks) => risks.at(-1) ?? 0)) + 1e-9) / 10);
    const x = (coverage) => left + coverage * (width - left - 22), y = (risk) => bottom - Math.min(risk / most, 1) * (bottom - top);
    const drawing = svg("svg", { width, height, role: "img", "aria-label": "Error against coverage; the table of each model beside it counts its errors" });
    for (const tick of [0, 0.5, 1]) {
      drawing.append(svg("line", { class: "grid", x1: x(0), x2: x(1), y1: y(tick * most), y2: y(tick * most) }),
        svg("text", { x: left - 6, y: y(tick * most) + 4, "text-anchor": "end" }, share(tick * most, 1)),
        svg("text", { x: x(tick), y: bottom + 16, "text-anchor": "middle" }, share(tick, 1)));
    }
    drawing.append(svg("text", { x: x(0.5), y: bottom + 34, "text-anchor": "middle" }, "most confident share of the images"));
    curves.forEach((risks, k) => {
      const step = Math.max(1, Math.floor(risks.length / 150));
      const points = risks.flatMap((risk, n) => (n % step === 0 || n === risks.length - 1 ? [`${x((n + 1) / risks.length).toFixed(1)},${y(risk).toFixed(1)}`] : []));
      drawing.append(svg("polyline", { class: `curve k${k}`, points: points.join(" ") }));
    });
    const keys = models.map((model, k) => {
      const mean = curves[k].reduce((sum, risk) => sum + risk, 0) / (curves[k].length || 1);
      return el("li", { class: `k${k}` }, `${model.name}: ${share(curves[k].at(-1) ?? 0, 1)} of all, ${share(mean, 1)} on average over shares`);
    });
    return el("figure", { class: "risk" }, el("figcaption", {}, "Error among the images that a model is most confident of (lower is better)"), drawing, el("ul", {}, keys));
  }

  function charts() {
    const box = byId("models"), chosen = [filters.model, filters.other].filter(Boolean).map((key) => data.models.get(key));
    box.hidden = !chosen.length;
    if (!chosen.length) return;
    const list = fits(["label", "says", "othersays", "verdict"]);
    byId("confusion").replaceChildren(...(chosen.length > 1 ? compared(...chosen, list) : []),
      ...chosen.map((model, k) => confusion(model, list, k ? "othersays" : "says")), riskAgainstCoverage(chosen, list));
  }

  /* ---- the map of the images: their embeddings in the plane, and a box to choose some ---- */

  const map = byId("map"), BOX = /^(\d{1,3})-(\d{1,3})-(\d{1,3})-(\d{1,3})$/; // left, top, right, bottom in per cent
  const boxOf = (text) => BOX.exec(text)?.slice(1).map(Number) ?? null;
  // the corners of each class's marker, as in the figures (style.CLASS_MARKERS); the first is a circle
  const MARKERS = [[], [[-3, -3], [3, -3], [3, 3], [-3, 3]], [[0, -4], [4, 3], [-4, 3]], [[0, -4], [4, 0], [0, 4], [-4, 0]], [[0, 4], [-4, -3], [4, -3]],
    [[-1, -4], [1, -4], [1, -1], [4, -1], [4, 1], [1, 1], [1, 4], [-1, 4], [-1, 1], [-4, 1], [-4, -1], [-1, -1]]];
  const MARKED = MARKERS.length; // more classes cannot be told apart and are drawn alike, in ink
  let dragged = null; // the corner where a drag began, and the one where it is

  function within(i, [left, top, right_, bottom]) {
    const x = 100 * data.points[2 * i] / 65535, y = 100 * data.points[2 * i + 1] / 65535;
    return x >= left && x <= right_ && y >= top && y <= bottom;
  }

  function drawMap() {
    if (!data?.points || !byId("plane").open) return;
    const { images } = data, size = map.clientWidth, scale = devicePixelRatio || 1, context = map.getContext("2d");
    map.width = map.height = size * scale;
    context.scale(scale, scale);
    const style = getComputedStyle(map), colours = MARKERS.map((_, k) => style.getPropertyValue(`--c${k}`)), alike = images.classNames.length > MARKED;
    const shown = new Set(fits(["box"])), at = (value) => 6 + value / 65535 * (size - 12);
    for (const bright of [false, true]) {
      context.globalAlpha = bright ? 0.9 : 0.15;
      for (let i = 0; i < images.id.length; i++) {
        if (shown.has(i) !== bright) continue;
        const x = at(data.points[2 * i]), y = at(data.points[2 * i + 1]), k = alike ? 0 : images.label[i];
        context.fillStyle = alike ? style.color : colours[k];
        context.beginPath();
        MARKERS[k].forEach(([right_, down]) => context.lineTo(x + right_, y + down));
        if (k === 0) context.arc(x, y, 3, 0, 7);
        context.fill();
      }
    }
    const box = dragged ? corners(dragged) : boxOf(filters.box);
    if (!box) return;
    context.globalAlpha = 1;
    context.lineWidth = 2;
    context.strokeStyle = style.color;
    const [left, top, right_, bottom] = box.map((value) => at(value * 655.35));
    context.strokeRect(left, top, right_ - left, bottom - top);
  }

  const corners = ([a, b]) => [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]), Math.max(a[1], b[1])];
  const percent = (event) => [event.offsetX, event.offsetY].map((value) => Math.round(Math.min(Math.max((value - 6) / (map.clientWidth - 12), 0), 1) * 100));

  map.addEventListener("pointerdown", (event) => {
    dragged = [percent(event), percent(event)];
    map.setPointerCapture(event.pointerId);
  });
  map.addEventListener("pointermove", (event) => {
    if (!dragged) return;
    dragged[1] = percent(event);
    drawMap();
  });
  map.addEventListener("pointerup", () => {
    if (!dragged) return;
    const box = corners(dragged);
    dragged = null;
    go({ box: box[2] - box[0] > 1 && box[3] - box[1] > 1 ? box.join("-") : "", image: "" });
    drawMap();
  });
  map.addEventListener("pointercancel", () => { dragged = null; drawMap(); });
  map.addEventListener("keydown", (event) => {
    const [x, y, grow] = { ArrowLeft: [-5, 0, 0], ArrowRight: [5, 0, 0], ArrowUp: [0, -5, 0], ArrowDown: [0, 5, 0], "+": [0, 0, 5], "-": [0, 0, -5], Escape: [] }[event.key] ?? [null];
    if (x === null) return;
    event.preventDefault();
    const [left, top, right_, bottom] = boxOf(address().query.get("box")) ?? [40, 40, 60, 60]; // the filters may lag behind
    const box = [left + x - grow, top + y - grow, right_ + x + grow, bottom + y + grow];
    if (x === undefined) go({ box: "" }, true);
    else if (Math.min(...box) >= 0 && Math.max(...box) <= 100 && box[2] - box[0] >= 5) go({ box: box.join("-") }, true);
  });
  byId("plane").addEventListener("toggle", drawMap);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawMap);

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
    const { images, models } = data, model = models.get(filters.model), other = models.get(filters.other);
    if (model) {
      const r = model.row[i];
      if (r < 0) return el("span", { class: "verdict" }, images.splits[images.split[i]] === "train" ? "in train: not asked" : "not asked");
      const good = right(model, i), told = (one) => (right(one, i) ? "right" : images.classNames[one.says[one.row[i]]]);
      const sign = (hit) => el("span", { class: `sign ${hit ? "right" : "wrong"}`, "aria-hidden": "true" }, hit ? "✓" : "✗");
      if (other && other.row[i] >= 0) {
        return el("span", { class: "verdict" }, sign(good), ` ${told(model)} ${model.sure[r].toFixed(2)}`,
          sign(right(other, i)), ` ${told(other)} ${other.sure[other.row[i]].toFixed(2)}`);
      }
      const runs = model.runs > 1 ? `, ${model.agree[r]}/${model.runs} runs` : "";
      return el("span", { class: `verdict ${good ? "right" : "wrong"}` }, sign(good), ` ${told(model)} ${model.sure[r].toFixed(2)}${runs}`);
    }
    const { asked, right: hits } = tally(i, filters.task);
    return el("span", { class: "verdict" }, asked ? `${hits} of ${asked} models right` : unasked(i));
  }

  function cell(position) {
    const { images } = data, i = found[position], label = images.label[i];
    const image = el("img", { src: `page/thumbnails/${images.id[i]}.jpg`, alt: "", width: 4, height: 3, loading: "lazy", decoding: "async" }); // the frame cuts it to 4 : 3
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
      charts();
      drawMap();
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
    if (name === "model" || name === "other") changes.says = changes.othersays = changes.sort = "";
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
  if (innerWidth < 720) for (const box of document.querySelectorAll(".filter-box")) box.open = false;

  return {
    show, hide, go, leave, link, about, asked,
    get data() { return data; },
    get found() { return found; },
    unpack, svg,
  };
})();
