"use strict";
(() => {
  const all = (where, what) => [...where.querySelectorAll(what)];
  const make = (tag, kind, text) => {
    const element = document.createElement(tag);
    if (kind) element.className = kind;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  // Light and dark
  const root = document.documentElement;
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const button = document.querySelector(".theme");
  const say = () => { button.textContent = dark() ? "Light" : "Dark"; };
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; say(); });
  button.hidden = false;
  say();

  // Tables sort by a click on a head; the first click goes the way that puts the best first.
  const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  const value = (row, column) => {
    const text = row.cells[column].dataset.order ?? row.cells[column].textContent.trim();
    return text !== "" && isFinite(text) ? Number(text) : text;
  };
  const unknown = (x) => x === "" || x === "–";
  for (const head of all(document, "th[data-first]")) {
    head.querySelector("button").addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const next = now === "none" ? head.dataset.first : now === "ascending" ? "descending" : "ascending";
      for (const other of head.parentNode.cells) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", next);
      const body = head.closest("table").tBodies[0];
      const keyed = [...body.rows].map((row) => [value(row, head.cellIndex), row]);
      keyed.sort(([a], [b]) => unknown(a) - unknown(b) || (next === "ascending" ? order(a, b) : order(b, a)));
      body.append(...keyed.map(([, row]) => row));
    });
  }

  // Tabs: the buttons of a group show one panel each.
  for (const group of all(document, ".tabs")) {
    const tabs = all(group, "button");
    const choose = (chosen) => {
      for (const tab of tabs) {
        tab.setAttribute("aria-selected", String(tab === chosen));
        tab.tabIndex = tab === chosen ? 0 : -1;
        document.getElementById(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
      }
    };
    tabs.forEach((tab, index) => {
      tab.addEventListener("click", () => choose(tab));
      tab.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const next = tabs[(index + step + tabs.length) % tabs.length];
        next.focus();
        choose(next);
      });
    });
  }

  const tip = document.getElementById("tip");
  const showTip = (x, y, lines) => {
    tip.replaceChildren(...lines.map((line, index) => make(index ? "div" : "b", "", line)));
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - box.width - 8))}px`;
    tip.style.top = `${y + 18 + box.height > innerHeight ? y - box.height - 12 : y + 18}px`;
  };
  const hideTip = () => { tip.hidden = true; };

  // Confusion matrices: the pointer or the arrow keys choose a cell, a click or Enter shows its images.
  const MOST = 60;
  for (const section of all(document, "[data-confusions]")) {
    const data = JSON.parse(document.getElementById(section.dataset.confusions).textContent);
    const size = data.classes.length;
    const counts = {}, totals = {};
    for (const [who, flat] of Object.entries(data.counts)) {
      counts[who] = new Map();
      totals[who] = new Float64Array(size);
      for (let at = 0; at < flat.length; at += 2) {
        counts[who].set(flat[at], flat[at + 1]);
        totals[who][Math.floor(flat[at] / size)] += flat[at + 1];
      }
    }
    const said = (who, t, p) => {
      const count = counts[who].get(t * size + p) || 0;
      const share = totals[who][t] ? ` (${(100 * count / totals[who][t]).toFixed(1)} % of the class)` : "";
      return [t === p ? `${data.classes[t]}, recognised` : `${data.classes[t]} taken for ${data.classes[p]}`,
        `${count.toLocaleString("en")} ${count === 1 ? "image" : "images"}${share}`];
    };
    const found = section.querySelector(".found");
    const open = (who, t, p) => {
      const [title, line] = said(who, t, p);
      found.querySelector("h3").textContent = title;
      const answers = data.answers[who];
      const rows = answers ? data.labels.map((label, row) => row).filter((row) => data.labels[row] === t && answers.predicted[row] === p) : [];
      const shown = rows.slice(0, MOST);
      found.querySelector("p").textContent = line + (shown.length < (counts[who].get(t * size + p) || 0) ? `, ${shown.length} shown` : "");
      found.querySelector(".grid").replaceChildren(...shown.map((row) => {
        const tile = make("div", "tile");
        const frame = make("div", "frame", data.pictures[row] ? undefined : "no picture");
        if (data.pictures[row]) {
          const image = make("img");
          image.alt = "";
          image.onload = () => image.classList.toggle("pixels", image.naturalWidth <= 40);
          image.src = "data:image/webp;base64," + data.pictures[row];
          frame.append(image);
        }
        const name = make("div", "muted");
        for (const part of data.names[row].split(/(?<=[/_-])/)) name.append(part, document.createElement("wbr"));
        tile.append(frame, make("div", "", `${answers.percent[row]} % sure`), name);
        return tile;
      }));
      found.hidden = false;
    };
    for (const panel of all(section, "[data-who]")) {
      const who = panel.dataset.who;
      for (const drawing of all(panel, "svg.confusion")) {
        const cells = drawing.querySelector(".cells"), cross = drawing.querySelector(".cross");
        let at = null;
        const point = (t, p, x, y) => {
          at = [t, p];
          cross.setAttribute("x", p);
          cross.setAttribute("y", t);
          cross.setAttribute("visibility", "visible");
          showTip(x, y, said(who, t, p));
        };
        const cellOf = (event) => {
          const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(cells.getScreenCTM().inverse());
          const [p, t] = [Math.floor(place.x), Math.floor(place.y)];
          return t >= 0 && p >= 0 && t < size && p < size ? [t, p] : null;
        };
        const leave = () => { hideTip(); cross.setAttribute("visibility", "hidden"); };
        drawing.tabIndex = 0;
        drawing.addEventListener("pointermove", (event) => {
          const cell = cellOf(event);
          if (cell) point(...cell, event.clientX, event.clientY); else leave();
        });
        drawing.addEventListener("pointerleave", leave);
        drawing.addEventListener("blur", leave);
        drawing.addEventListener("click", (event) => { const cell = cellOf(event); if (cell) open(who, ...cell); });
        drawing.addEventListener("keydown", (event) => {
          const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
          if (event.key === "Enter" && at) open(who, ...at);
          if (!step) return;
          event.preventDefault();
          const [t, p] = at ? at.map((place, axis) => Math.max(0, Math.min(size - 1, place + step[axis]))) : [0, 0];
          const corner = new DOMPoint(p + 1, t + 1).matrixTransform(cells.getScreenCTM());
          point(t, p, corner.x, corner.y);
        });
      }
      for (const line of all(panel, "[data-cell]")) {
        line.addEventListener("click", () => { open(who, ...line.dataset.cell.split(",").map(Number)); });
      }
    }
  }
})();
