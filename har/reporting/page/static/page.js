"use strict";
/* The page's frame: which view the address shows, tables that sort and fold, charts that tell their numbers.
   gallery.js and detail.js hang the photographs into it. No framework, no build step, works from disk. */
globalThis.har = (() => {
  /* An element with attributes and children. Strings become text, never markup. */
  function el(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return node;
  }

  /* A link to elsewhere, or plain text where the address is none. */
  function outward(address, text) {
    if (!/^https?:\/\//i.test(address)) return document.createTextNode(text);
    return el("a", { href: address, rel: "noopener noreferrer", target: "_blank" }, text);
  }

  const scripts = new Map();
  function load(path) {
    if (!scripts.has(path)) {
      scripts.set(path, new Promise((resolve, reject) => {
        const node = el("script", { src: path });
        node.addEventListener("load", resolve);
        node.addEventListener("error", () => reject(new Error(`${path} is missing beside index.html`)));
        document.head.append(node);
      }));
    }
    return scripts.get(path);
  }

  /* ---- the address: #images?split=test&image=139, or the anchor of a section ---- */

  function address() {
    const [view, query = ""] = location.hash.slice(1).split("?");
    return { view: view === "images" ? view : "results", anchor: view, query: new URLSearchParams(query) };
  }

  const scrolled = {};
  let current = null;

  function show() {
    const { view, anchor } = address();
    const changed = view !== current;
    if (changed) {
      if (current) scrolled[current] = scrollY;
      for (const part of document.querySelectorAll("main > [data-view]")) part.hidden = part.dataset.view !== view;
      for (const link of document.querySelectorAll(".bar nav a")) {
        if (link.dataset.view === view) link.setAttribute("aria-current", "page");
        else link.removeAttribute("aria-current");
      }
      document.title = document.title.replace(/: \w+,/, `: ${view},`);
    }
    if (view === "images") har.gallery.show(changed);
    else har.gallery.hide();
    if (changed && current !== null) {
      const target = view === "results" && anchor && anchor !== "overview" && document.getElementById(anchor);
      if (target) target.scrollIntoView();
      else scrollTo(0, scrolled[view] ?? 0);
    } else if (!changed && view === "results" && !anchor) scrollTo(0, 0);
    current = view;
  }

  /* ---- tables ---- */

  /* What a cell is sorted by: its first number, or its text. Cells without a value come last. */
  function sortKey(text) {
    const plain = text.replaceAll("−", "-").replaceAll(",", "");
    const match = plain.match(/[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?/i);
    if (/^[–\s]*$/.test(text)) return null;
    return match && /^[<≈\[\s+\-.\d]/.test(plain) ? Number(match[0]) : text.trim().toLowerCase();
  }

  function compare(a, b) {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === typeof b) return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
    return typeof a === "number" ? -1 : 1;
  }

  function sortable(table) {
    const body = table.tBodies[0], rows = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = el("button", { type: "button", title: [head.title, "Sort by this column"].filter(Boolean).join(". ") });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort");
        const next = now === null ? (head.classList.contains("n") ? "descending" : "ascending")
          : now === "descending" ? "ascending" : "descending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", next);
        const sign = next === "ascending" ? 1 : -1;
        const keyed = rows.map((row) => [sortKey(row.cells[column].textContent), row]);
        keyed.sort(([a], [b]) => (a === null || b === null ? compare(a, b) : sign * compare(a, b)));
        body.append(...keyed.map(([, row]) => row));
      });
    });
  }

  /* page.css folds tables of more than 18 rows; here is the button that unfolds one. */
  function foldable(box) {
    const count = box.querySelector("tbody").rows.length;
    if (count <= 18) return;
    const button = el("button", { type: "button", class: "quiet unfold", "aria-expanded": "false" }, `Show all ${count} rows`);
    button.addEventListener("click", () => {
      const whole = box.classList.toggle("whole");
      button.textContent = whole ? "Show 14 rows" : `Show all ${count} rows`;
      button.setAttribute("aria-expanded", String(whole));
    });
    box.after(button);
  }

  /* A table that is wider than its place shows at its edge that there is more. */
  function shaded(box) {
    const look = () => box.classList.toggle("more-right", box.scrollLeft + box.clientWidth < box.scrollWidth - 4);
    box.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(box);
  }

  /* ---- charts ---- */

  function readouts(chart) {
    const out = chart.querySelector(".readout");
    for (const link of chart.querySelectorAll("a[data-told]")) {
      for (const event of ["pointerenter", "focus"]) link.addEventListener(event, () => { out.textContent = link.dataset.told; });
      for (const event of ["pointerleave", "blur"]) link.addEventListener(event, () => { out.textContent = out.dataset.rest; });
    }
  }

  /* ---- contents: which section is being read ---- */

  function follow() {
    const links = new Map([...document.querySelectorAll(".contents a")].map((a) => [a.hash.slice(1), a]));
    document.getElementById("contents").addEventListener("click", (event) => event.currentTarget.hidePopover());
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        for (const link of links.values()) link.removeAttribute("aria-current");
        links.get(entry.target.id)?.setAttribute("aria-current", "true");
      }
    }, { rootMargin: "-15% 0px -75% 0px" });
    for (const id of links.keys()) {
      const section = document.getElementById(id);
      if (section) seen.observe(section);
    }
  }

  function start() {
    document.querySelectorAll(".sections table").forEach(sortable);
    document.querySelectorAll(".sections .table").forEach(foldable);
    document.querySelectorAll(".sections .table").forEach(shaded);
    document.querySelectorAll(".chart").forEach(readouts);
    follow();
    addEventListener("beforeprint", () => document.querySelectorAll(".sections details").forEach((one) => { one.open = true; }));
    addEventListener("hashchange", show);
    document.querySelector(".skip").addEventListener("click", (event) => { // its anchor would lead to the results
      event.preventDefault();
      document.getElementById("content").focus();
    });
    show();
  }

  document.addEventListener("DOMContentLoaded", start);
  return { el, outward, load, address, shaded };
})();
