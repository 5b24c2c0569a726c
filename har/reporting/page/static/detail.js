"use strict";
/* One photograph: captions and which of them made the label, whose it is, what each run of each model says, and where
   the model looked. */
har.detail = (() => {
  const { el, outward, load, address, shaded } = har;
  const dialog = document.getElementById("detail");
  const HEAT = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]]; // inferno
  const maps = new Map();
  let shown = null;

  const percent = (p) => (p >= 0.9995 ? "1.00" : p.toFixed(2));

  /* ---- maps ---- */

  async function map(key) {
    if (!maps.has(key)) {
      await load(`page/maps/${key}.js`);
      const raw = harData[`maps/${key}`];
      const row = new Int32Array(har.gallery.data.images.id.length).fill(-1);
      har.gallery.unpack(raw.rows, Uint32Array).forEach((place, r) => { row[place] = r; });
      maps.set(key, { ...raw, row, values: har.gallery.unpack(raw.values, Uint8Array) });
    }
    return maps.get(key);
  }

  /* The part of a photograph that a model sees, as shares of its width and height. */
  function region(map, width, height) {
    const w = (map.fit === "crop" ? Math.min(width, height) : width) * map.share / width;
    const h = (map.fit === "crop" ? Math.min(width, height) : height) * map.share / height;
    return { left: (1 - w) / 2, top: (1 - h) / 2, width: w, height: h };
  }

  function colour(value) {
    const at = value * (HEAT.length - 1), low = Math.min(Math.floor(at), HEAT.length - 2), rest = at - low;
    return HEAT[low].map((channel, k) => channel + rest * (HEAT[low + 1][k] - channel));
  }

  /* A grid [side, side] of 0 to 255 between the centres of its cells, as interpolation in the model's papers does. */
  function paint(canvas, values, side) {
    const size = 256, context = canvas.getContext("2d"), pixels = context.createImageData(size, size);
    canvas.width = canvas.height = size;
    for (let y = 0; y < size; y++) {
      const v = Math.min(Math.max((y + 0.5) * side / size - 0.5, 0), side - 1), y0 = Math.floor(v), y1 = Math.min(y0 + 1, side - 1);
      for (let x = 0; x < size; x++) {
        const u = Math.min(Math.max((x + 0.5) * side / size - 0.5, 0), side - 1), x0 = Math.floor(u), x1 = Math.min(x0 + 1, side - 1);
        const top = values[y0 * side + x0] * (1 - u + x0) + values[y0 * side + x1] * (u - x0);
        const bottom = values[y1 * side + x0] * (1 - u + x0) + values[y1 * side + x1] * (u - x0);
        const value = (top * (1 - v + y0) + bottom * (v - y0)) / 255, at = 4 * (y * size + x), rgb = colour(value);
        pixels.data[at] = rgb[0];
        pixels.data[at + 1] = rgb[1];
        pixels.data[at + 2] = rgb[2];
        pixels.data[at + 3] = 255 * Math.min(1, 0.25 + value);
      }
    }
    context.putImageData(pixels, 0, 0);
  }

  /* The controls of the overlay and what they draw; nothing where no stage wrote maps. */
  function overlay(i, photo, told, asked) {
    const { images, models } = har.gallery.data;
    const names = Object.keys(images.maps);
    if (!names.length) return null;
    const canvas = el("canvas", { class: "heat", role: "img", hidden: true });
    photo.append(canvas);
    const select = el("select", { id: "d-map" }, el("option", { value: "" }, "No map"),
      names.map((key) => el("option", { value: key }, models.has(key) ? `${models.get(key).name}, ${models.get(key).task}` : key)));
    const classes = el("div", { class: "choices", role: "radiogroup", "aria-label": "Class that the map speaks for" });
    const strength = el("input", { id: "d-opacity", type: "range", min: 0, max: 100, step: 5 });
    const slider = el("div", { class: "field" }, el("label", { for: "d-opacity" }, "Opacity"), strength);
    const note = el("p", { class: "quiet-text", role: "status" });
    const query = address().query;
    const given = Number.parseInt(query.get("opacity") ?? "", 10);
    select.value = names.includes(query.get("map")) ? query.get("map") : "";
    strength.value = given >= 0 && given <= 100 ? given : 65;
    let chosen = images.classes.indexOf(query.get("class"));

    async function apply() {
      const key = select.value, now = i;
      canvas.hidden = true;
      note.textContent = "";
      classes.replaceChildren();
      slider.hidden = !key;
      if (!key) return;
      let found;
      try {
        found = await map(key);
      } catch (error) {
        note.textContent = error.message;
        return;
      }
      if (shown !== now || select.value !== key) return;
      const r = found.row[i];
      if (r < 0) {
        const made = found.row.filter((row) => row >= 0).length.toLocaleString("en");
        note.textContent = `No map of this image: maps were made of ${made} images that the model was not trained on.`;
        return;
      }
      const model = asked.find((one) => one.key === key), says = model ? model.says[model.r] : -1;
      if (!found.classes.includes(chosen)) chosen = found.classes.includes(says) ? says : found.classes[0];
      classes.replaceChildren(...found.classes.map((k) => {
        const input = el("input", { type: "radio", name: "d-class", value: k });
        input.checked = k === chosen;
        input.addEventListener("change", () => { chosen = k; keep(); apply().then(() => classes.querySelector(":checked")?.focus()); });
        return el("label", {}, input, images.classNames[k]);
      }));
      const part = region(found, told.width, told.height), size = found.side ** 2;
      for (const [name, value] of Object.entries(part)) canvas.style[name] = `${100 * value}%`;
      const at = (r * found.classes.length + found.classes.indexOf(chosen)) * size;
      paint(canvas, found.values.subarray(at, at + size), found.side);
      canvas.style.opacity = strength.value / 100;
      canvas.setAttribute("aria-label", `${found.method} map of ${models.get(key)?.name ?? key} for ${images.classNames[chosen]}`);
      canvas.hidden = false;
      note.textContent = part.width < 0.999 || part.height < 0.999
        ? "The outline is what the model sees; bright is most relevant." : "Bright is most relevant.";
    }
    const keep = () => har.gallery.go({ map: select.value, class: select.value && chosen >= 0 ? images.classes[chosen] : "", opacity: select.value && strength.value !== "65" ? strength.value : "" }, true);
    select.addEventListener("change", () => { apply().then(keep); });
    strength.addEventListener("input", () => { canvas.style.opacity = strength.value / 100; });
    strength.addEventListener("change", keep);
    apply();
    const methods = [...new Set(Object.values(images.maps).map((about) => about.method))].join(", ");
    return el("fieldset", { class: "maps" }, el("legend", {}, `Where the model looks (${methods})`),
      el("div", { class: "row" },
        el("div", { class: "field" }, el("label", { for: "d-map" }, "Model"), select),
        slider),
      classes, note);
  }

  /* ---- what the models say ---- */

  function bar(model, r, images) {
    const { svg } = har.gallery, drawing = svg("svg", { class: "stack", height: 8, "aria-hidden": "true" }), size = model.classes.length;
    let from = 0;
    model.classes.forEach((k, c) => {
      let mean = 0;
      for (let s = 0; s < model.runs; s++) mean += model.p[(s * model.n + r) * size + c] / 65535 / model.runs;
      drawing.append(svg("rect", { x: `${100 * from}%`, width: `${100 * mean}%`, height: 8, class: `c${k % 6}` }));
      from += mean;
    });
    return drawing;
  }

  function answers(i, task, asked) {
    const { images } = har.gallery.data, label = images.label[i];
    const mine = asked.filter((model) => model.task === task);
    if (!mine.length) return null;
    const rows = mine.map((model) => {
      const { r } = model, right = model.says[r] === label, size = model.classes.length;
      const runs = model.seeds.map((seed, s) => {
        const at = (s * model.n + r) * size, best = model.told[s * model.n + r], hit = model.classes[best] === label;
        const told = model.classes.map((k, c) => `${images.classNames[k]} ${percent(model.p[at + c] / 65535)}`).join(", ");
        return el("li", { class: hit ? "right" : "wrong", title: `${model.runs > 1 ? `seed ${seed}: ` : ""}${told}` },
          el("span", { class: "sign", "aria-hidden": "true" }, hit ? "✓" : "✗"),
          hit ? el("span", { class: "unseen" }, "right ") : ` ${images.classNames[model.classes[best]]} `,
          percent(model.p[at + best] / 65535));
      });
      return el("tr", {},
        el("th", { scope: "row" }, el("a", { href: har.gallery.link({ model: model.key, task: "", other: "", verdict: "", says: "", othersays: "", sort: "" }) }, model.name)),
        el("td", { class: right ? "right" : "wrong" }, el("span", { class: "sign", "aria-hidden": "true" }, right ? "✓" : "✗"),
          ` ${images.classNames[model.says[r]]}`, bar(model, r, images)),
        el("td", { class: "n" }, percent(model.truth[r])),
        el("td", {}, el("ol", { class: "runs" }, runs)));
    });
    const classes = images.tasks[task].map((k) => el("span", {}, el("i", { class: `dot c${k % 6}`, "aria-hidden": "true" }), images.classNames[k]));
    return el("div", { class: "answers" },
      el("h3", {}, task[0].toUpperCase() + task.slice(1), el("span", { class: "legend" }, classes)),
      el("div", { class: "table", role: "region", tabindex: 0, "aria-label": `What the models say, ${task}` },
        el("table", {}, el("caption", { class: "unseen" }, `What each model predicts for this image, ${task}`),
          el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Model"), el("th", { scope: "col" }, "Prediction, mean over runs"),
            el("th", { scope: "col", class: "n" }, "p(label)"), el("th", { scope: "col" }, "Each run, and its probability"))),
          el("tbody", {}, rows))));
  }

  /* ---- the dialog ---- */

  function captions(told) {
    const { images } = har.gallery.data;
    const list = el("ol", { class: "captions" }, told.captions.map((caption, k) => {
      const mentions = told.mentions[k];
      return el("li", { class: mentions.length ? "mentions" : "silent" }, caption, mentions.map((c) =>
        el("span", { class: "chip" }, el("i", { class: `dot c${c % 6}`, "aria-hidden": "true" }), images.classNames[c])));
    }));
    return [el("h3", {}, "Captions"), list,
      el("p", { class: "quiet-text" }, "A chip marks a caption that names a person and the activity: the label comes from these.")];
  }

  function facts(i, told) {
    const { images } = har.gallery.data;
    const [licence, place] = images.licences[told.licence] ?? ["Licence not told", ""];
    const rights = el("dd", {}, outward(place, licence));
    if (images.generated) rights.append(" (drawn at random; the image is the project's own)");
    const rows = [
      ["Label", el("dd", {}, el("i", { class: `dot c${images.label[i] % 6}`, "aria-hidden": "true" }), images.classNames[images.label[i]])],
      ["Split", el("dd", {}, images.splits[images.split[i]])],
      ["Size", el("dd", {}, `${told.width} × ${told.height} pixels`)],
      ["Persons", el("dd", {}, `${told.persons} annotated`)],
    ];
    for (const [name, value] of told.traits) {
      if (value !== null) rows.push([name, el("dd", {}, `${Math.round(100 * value)} %`)]);
    }
    rows.push(["Licence", rights]);
    if (told.author) rows.push(["Author", el("dd", {}, outward(told.author, "named on Flickr"))]);
    if (told.source) rows.push(["Source", el("dd", {}, outward(told.source, "the original file"))]);
    return el("dl", { class: "facts-list" }, rows.map(([name, value]) => el("div", {}, el("dt", {}, name), value)));
  }

  function step(by) {
    const { found, data } = har.gallery, at = found.indexOf(shown), next = found[at < 0 ? 0 : at + by];
    if (next !== undefined) har.gallery.go({ image: String(data.images.id[next]) }, true);
  }

  const close = () => har.gallery.leave({ image: "", map: "", class: "", opacity: "" });

  async function show(i) {
    if (shown === i) return;
    shown = i;
    let told, asked;
    try {
      [told, asked] = await Promise.all([har.gallery.about(i), har.gallery.asked(i)]);
    } catch (error) {
      document.getElementById("count").textContent = error.message;
      shown = null;
      return;
    }
    if (shown !== i) return;
    const focused = dialog.contains(document.activeElement) && document.activeElement.dataset.key;
    const { images } = har.gallery.data, { found } = har.gallery, at = found.indexOf(i);
    const photo = el("div", { class: "photo" }, el("img", {
      src: `page/images/${images.id[i]}.jpg`, alt: told.captions[0] ?? "", width: told.width, height: told.height,
    }));
    photo.style.setProperty("--ratio", told.width / told.height);
    const frames = told.frames && el("div", { class: "frames" }, el("h3", {}, `The clip's ${told.frames.length} frames`),
      told.frames.map((id, k) => el("img", { src: `page/thumbnails/${id}.jpg`, alt: `Frame ${k + 1}`, loading: "lazy" })),
      el("p", { class: "quiet-text" }, "Predictions are means over these; the image above and its maps are of one."));
    const tables = Object.keys(images.tasks).map((task) => answers(i, task, asked)).filter(Boolean);
    const button = (key, name, sign, action, off) => el("button", { type: "button", class: "round", "data-key": key, "aria-label": name, title: name, disabled: off, onclick: action }, sign);
    dialog.replaceChildren(
      el("div", { class: "dialog-head" },
        el("h2", { id: "detail-title", tabindex: -1 }, `${frames ? "Clip" : "Image"} ${images.id[i]}`),
        el("span", { class: "position" }, at < 0 ? "outside the filters" : `${(at + 1).toLocaleString("en")} of ${found.length.toLocaleString("en")}`),
        button("previous", "Previous image (left arrow)", "←", () => step(-1), at === 0),
        button("next", "Next image (right arrow)", "→", () => step(1), at === found.length - 1),
        button("close", "Close (Esc)", "✕", close)),
      el("div", { class: "dialog-body" },
        el("div", { class: "left" }, photo, frames, overlay(i, photo, told, asked)),
        el("div", { class: "right" }, facts(i, told), told.captions.length ? captions(told) : null),
        el("div", { class: "below" }, el("h3", { class: "unseen" }, "What the models say"),
          tables.length ? tables : el("p", { class: "quiet-text" }, images.splits[images.split[i]] === "train"
            ? "This image is in train: the models learnt from it and are not asked about it." : "No model was asked about this image."))));
    if (!dialog.open) dialog.showModal();
    dialog.querySelectorAll(".table").forEach(shaded);
    const again = focused && dialog.querySelector(`[data-key="${focused}"]:not(:disabled)`);
    (again || dialog.querySelector("h2")).focus();
    dialog.scrollTop = 0;
  }

  function hide() {
    shown = null;
    if (dialog.open) dialog.close();
  }

  dialog.addEventListener("cancel", (event) => { event.preventDefault(); close(); });
  dialog.addEventListener("close", () => { if (shown !== null) close(); }); // a browser may insist
  dialog.addEventListener("click", (event) => { if (event.target === dialog) close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, [tabindex='0']")) return;
    if (event.key === "ArrowRight") step(1);
    else if (event.key === "ArrowLeft") step(-1);
    else return;
    event.preventDefault();
  });

  return { show, hide };
})();
