"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const byId = (id) => document.getElementById(id);
  const space = document.createElement("template");
  space.innerHTML = "<svg></svg>";
  const svg_space = space.content.firstChild.namespaceURI;
  const make = (name, text = "", attributes = {}) => {
    const svg = ["svg", "line", "circle"].includes(name);
    const made = svg ? document.createElementNS(svg_space, name) : document.createElement(name);
    if (text !== "") made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };

  // The view's state stands in the address, behind #; a # without "=" is an anchor and left to the browser.
  const read = () => new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const write = (state) => {
    const text = state.toString();
    if (text || location.hash.includes("=")) history.replaceState(null, "", text ? `#${text}` : "#");
  };
  const remember = (form, more = {}) => {
    const state = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value !== "") state.append(name, value);
    for (const [name, value] of Object.entries(more)) if (value) state.set(name, value);
    write(state);
  };
  const restore = (form) => {
    const state = read();
    for (const control of form.elements) {
      if (!control.name || !state.has(control.name)) continue;
      if (control.type === "checkbox") control.checked = state.getAll(control.name).includes(control.value);
      else control.value = state.get(control.name);
      if (control.tagName === "SELECT" && control.selectedIndex < 0) control.selectedIndex = 0;
    }
  };

  // Light or dark, as the system says or as chosen here.
  const theme = byId("theme");
  const root = document.documentElement;
  const kept = (name, value) => {
    try {
      if (value === undefined) return localStorage.getItem(name);
      localStorage.setItem(name, value);
    } catch { /* A browser may forbid it. */ }
    return null;
  };
  if (theme) {
    const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    const name = () => { theme.textContent = dark() ? "light colours" : "dark colours"; };
    const chosen = new URLSearchParams(location.search).get("theme") || kept("g2d-bench-theme");
    if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
    theme.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      kept("g2d-bench-theme", root.dataset.theme);
      name();
    });
    theme.hidden = false;
    name();
  }

  // Where there is no clipboard, what is to be copied is marked.
  const copy = async (text, button, mark) => {
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "copied";
    } catch {
      button.textContent = "press Ctrl+C";
      mark();
    }
    setTimeout(() => { button.textContent = before; }, 1500);
  };
  for (const button of all("button.copy")) {
    const code = button.previousElementSibling;
    button.hidden = false;
    button.addEventListener("click", () => copy(code.textContent, button, () => getSelection().selectAllChildren(code)));
  }
  const link = byId("link");
  if (link) {
    const address = make("input", "", { id: "address", type: "text", readonly: "", "aria-label": "address of this view" });
    link.addEventListener("click", () => copy(location.href, link, () => {
      address.value = location.href;
      link.after(address);
      address.select();
    }));
  }

  // Measured rows change places; quoted rows and trivial predictors stay below them.
  let sorted = "";
  // Numbers begin with the largest, words with A; without a wish, a column that is sorted is turned round.
  function sort(head, wish) {
    const table = head.closest("table");
    const body = table.tBodies[0];
    const column = head.cellIndex;
    const rows = [...body.rows].filter((row) => row.classList.contains("measured"));
    const key = (row) => {
      const cell = row.cells[column];
      if (!cell) return null;
      if ("value" in cell.dataset) return cell.dataset.value === "" ? null : Number(cell.dataset.value);
      const text = cell.textContent.trim();
      const number = cell.tagName === "TH" ? NaN : parseFloat(text);
      return Number.isNaN(number) ? (text === "n/a" || text === "–" ? null : text) : number;
    };
    const before = head.getAttribute("aria-sort");
    const down = wish ?? (before ? before === "ascending" : !rows.some((row) => typeof key(row) === "string"));
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    rows.sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
      return down ? -order : order;
    });
    const rest = [...body.rows].filter((row) => !row.classList.contains("measured"));
    body.append(...rows, ...rest);
    return down;
  }
  all("table.sortable").forEach((table, place) => {
    const where = table.closest("section[id]")?.id || String(place);
    for (const head of table.tHead.rows[0].cells) {
      if (head.classList.contains("nosort") || head.textContent.startsWith("records")) continue;
      const button = make("button", "", { type: "button" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = sort(head);
        sorted = `${where}~${head.cellIndex}~${down ? "d" : "a"}`;
        if (byId("filters")) remember(byId("filters"), { sort: sorted });
      });
      const wanted = (read().get("sort") || "").split("~");
      if (wanted[0] === where && Number(wanted[1]) === head.cellIndex) {
        sorted = read().get("sort");
        sort(head, wanted[2] === "d");
      }
    }
  });

  // Sections, groups and lines of the overview show if they agree with every choice that concerns them; rows,
  // columns and numbers of an encoder if they agree with the choices about encoders. What is looked for is an
  // encoder's name, or stands in the heading or the columns of a table, which is then shown whole.
  const form = byId("filters");
  if (form) {
    const facets = ["data", "protocol", "kind", "task", "fraction"];
    const of_encoders = ["scale", "licence", "by"];
    const facts = new Map(all("tr.measured[data-scale]").map((row) => [row.dataset.encoder, row.dataset]));
    const counted = (tables) => `${tables} table${tables === 1 ? "" : "s"}`;
    const filter = () => {
      const chosen = new FormData(form);
      const words = (chosen.get("encoder") || "").trim().toLowerCase();
      const has = (...texts) => texts.some((text) => (text || "").toLowerCase().includes(words));
      const passes = (part) => facets.every((name) => {
        const wanted = chosen.get(name);
        return !wanted || !(name in part.dataset) || part.dataset[name] === wanted
          || (name === "task" && part.dataset.task.split(" ").includes(wanted));
      });
      const speaks = (part) => words !== "" && has(part.dataset.task, part.dataset.kind,
        part.querySelector("h3").textContent, ...all("thead th", part).map((head) => head.textContent));
      const known_passes = (name) => of_encoders.every((fact) => !chosen.get(fact) || facts.get(name)?.[fact] === chosen.get(fact));
      const sight_passes = (saw = "") => !(chosen.has("clean") && saw) && (!chosen.get("saw") || (saw || "not seen") === chosen.get("saw"));
      // Numbers of encoders are taken out one by one: of one task an encoder saw the images, of another not.
      const numbers_left = (row, encoder_at) => {
        const numbers = [...row.cells].filter((cell) => cell.tagName === "TD" && encoder_at(cell) !== undefined);
        for (const cell of numbers) cell.classList.toggle("out", !sight_passes(cell.dataset.saw));
        return numbers.length === 0 || numbers.some((cell) => !cell.hidden && !cell.classList.contains("out"));
      };
      let tables = 0;
      for (const part of all("section.task, article.group")) {
        const told = speaks(part);
        let [shown, ranked, fallen] = [0, 0, 0];
        for (const row of all(part.matches(".group") ? "tbody tr" : "tr.measured", part)) {
          const stays = known_passes(row.dataset.encoder) && sight_passes(row.dataset.saw);
          row.hidden = !stays || !(told || has(row.dataset.encoder));
          shown += row.hidden ? 0 : 1;
          if (row.classList.contains("lacks")) continue;
          ranked += row.hidden ? 0 : 1;
          fallen += stays ? 0 : 1;
        }
        part.hidden = !passes(part) || shown === 0 || (fallen > 0 && ranked === 0);
        if (!part.hidden && part.matches("section")) tables += 1;
        if (part.matches(".group")) {
          part.querySelector(".answer").hidden = fallen > 0;
          part.querySelector(".among").hidden = fallen === 0;
        }
      }
      for (const section of all(".overview")) {
        const heads = all("thead th", section);
        const told = heads.some((head) => "encoder" in head.dataset && has(head.dataset.encoder));
        const column_hidden = heads.map(({ dataset }) => "encoder" in dataset && !(known_passes(dataset.encoder) && (!told || has(dataset.encoder))));
        heads.forEach((head, place) => { head.hidden = column_hidden[place]; });
        let panel = null;
        let lines = 0;
        for (const row of all("tbody tr", section)) {
          if (row.classList.contains("panel")) {
            panel = row;
            panel.hidden = true;
            continue;
          }
          for (const cell of row.cells) cell.hidden = column_hidden[cell.cellIndex];
          const left = numbers_left(row, (cell) => heads[cell.cellIndex].dataset.encoder);
          row.hidden = !left || !passes(row) || !(told || has(row.cells[0].textContent, row.dataset.kind));
          if (row.hidden) continue;
          lines += 1;
          if (panel) panel.hidden = false;
        }
        section.hidden = lines === 0 || !passes(section);
      }
      for (const part of all(".further")) {
        const told = speaks(part);
        const rows = all("tbody tr", part);
        for (const row of rows) {
          const left = numbers_left(row, () => row.dataset.encoder);
          row.hidden = !left || !known_passes(row.dataset.encoder) || !(told || has(row.dataset.encoder));
        }
        part.hidden = !passes(part) || rows.every((row) => row.hidden);
      }
      for (const [id, parts] of [["ranks", ".group"], ["further", ".further"]]) {
        if (byId(id)) byId(id).hidden = all(parts).every((part) => part.hidden);
      }
      byId("none").hidden = tables > 0;
      byId("passing").textContent = counted(tables);
      document.body.classList.toggle("labels", chosen.has("labels"));
      document.body.classList.toggle("clean", chosen.has("clean") || chosen.get("saw") === "not seen");
    };
    restore(form);
    form.addEventListener("input", () => { filter(); remember(form, { sort: sorted }); });
    form.addEventListener("submit", (event) => event.preventDefault());
    addEventListener("hashchange", () => {
      const place = document.querySelector(":target");
      const hidden = place?.closest("[hidden]");
      if (!location.hash.includes("=") && !hidden) return;
      // An address is a view or a place: a place that the choices hide is shown by giving them up.
      form.reset();
      restore(form);
      filter();
      if (hidden) place.scrollIntoView();
    });
    form.hidden = false;
    if (location.hash.includes("=")) filter();
    else byId("passing").textContent = counted(all("section.task").length);
  }
  const searched = byId("rows");
  if (searched) {
    const look = () => {
      const words = searched.elements.encoder.value.trim().toLowerCase();
      let count = 0;
      for (const row of all(".searched tbody tr")) {
        row.hidden = !row.textContent.toLowerCase().includes(words);
        count += row.hidden ? 0 : 1;
      }
      byId("passing").textContent = `${count} numbers`;
    };
    restore(searched);
    searched.addEventListener("input", () => { look(); remember(searched); });
    searched.addEventListener("submit", (event) => event.preventDefault());
    searched.hidden = false;
    look();
  }

  // Charts: what a mark says, and which encoders are drawn.
  const marks = all(".chart .mark");
  if (marks.length) {
    const tip = make("div", "", { id: "tip", role: "tooltip" });
    tip.hidden = true;
    document.body.append(tip);
    const faint = (name) => { for (const group of all(".chart g[data-encoder]")) group.classList.toggle("faint", name !== null && group.dataset.encoder !== name); };
    document.addEventListener("pointerover", (event) => {
      const mark = event.target.closest?.(".chart .mark, .chart .curve");
      if (!mark) return;
      const group = mark.closest("g");
      faint(group.dataset.encoder);
      tip.textContent = mark.dataset.told || group.dataset.encoder;
      tip.hidden = false;
      tip.style.left = `${Math.min(event.clientX + 12, innerWidth - 220)}px`;
      tip.style.top = `${event.clientY + 14}px`;
    });
    document.addEventListener("pointerout", (event) => {
      if (event.target.closest?.(".chart .mark, .chart .curve")) { tip.hidden = true; faint(null); }
    });
  }
  const legend = byId("legend");
  if (legend) {
    const boxes = () => all("input[name=show]", legend);
    const draw = () => {
      const shown = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
      for (const group of all(".chart g[data-encoder]")) group.style.display = shown.has(group.dataset.encoder) ? "" : "none";
    };
    if (read().has("show")) restore(legend);
    legend.addEventListener("input", () => {
      draw();
      if (boxes().every((box) => box.checked)) write(new URLSearchParams());
      else remember(legend, boxes().some((box) => box.checked) ? {} : { show: "-" });
    });
    for (const box of boxes()) box.hidden = false;
    draw();
  }

  // Paired differences, drawn from the numbers that the page brings along.
  const pair = byId("pair");
  if (pair) {
    const data = JSON.parse(byId("pairs").textContent);
    // No "-0.0".
    const write_number = (number, column) => {
      const text = number.toFixed(column.share ? 1 : 3);
      return Number(text) === 0 ? text.replace("-", "") : text;
    };
    const place_of = (name) => data.encoders.indexOf(name);
    // Pairs stand under the places of their encoders, the earlier first.
    const key_of = (first, second) => {
      const [a, b] = [place_of(first), place_of(second)];
      return a < b ? [`${a},${b}`, false] : [`${b},${a}`, true];
    };
    const lines = (world, first, second) => {
      const found = [];
      for (const other of second ? [second] : data.encoders.filter((name) => name !== first)) {
        const [key, turned] = key_of(first, other);
        for (const [place, mean, low, high, adjusted] of world.pairs[key] || []) {
          found.push({ place, other, mean: turned ? -mean : mean, low: turned ? -high : low, high: turned ? -low : high, adjusted });
        }
      }
      return found.sort((a, b) => a.place - b.place);
    };
    const draw = () => {
      const chosen = new FormData(pair);
      const [first, second] = [chosen.get("first"), chosen.get("second")];
      const world = data.worlds[Number(chosen.get("world"))] || data.worlds[0];
      const body = byId("forest").tBodies[0];
      body.replaceChildren();
      const shown = lines(world, first, second).filter(({ place }) => {
        const column = world.columns[place];
        return (!chosen.get("kind") || column.kind === chosen.get("kind")) && (!chosen.get("fraction") || column.labels === chosen.get("fraction"));
      });
      for (const cell of all("#forest .against")) cell.hidden = second !== "";
      const counts = { first: 0, second: 0, open: 0 };
      const ends = Object.create(null);
      for (const one of shown) {
        const unit = world.columns[one.place].share ? "share" : world.columns[one.place].metric;
        ends[unit] = Math.max(ends[unit] || 0, Math.abs(one.low), Math.abs(one.high));
      }
      for (const one of shown) {
        const column = world.columns[one.place];
        const better = one.adjusted > 0.05 ? "open" : one.mean > 0 ? "first" : "second";
        counts[better] += 1;
        const row = make("tr", "", { class: better });
        const head = make("th", "", { scope: "row" });
        head.append(make("a", column.task, { href: column.href }), make("small", ` ${column.metric}`));
        for (const line of column.warnings) head.append(make("div", line, { class: "generated" }));
        row.append(head, make("td", column.labels));
        if (!second) row.append(make("td", one.other));
        const value = (name) => {
          const number = column.values[place_of(name)];
          return number === null ? "n/a" : write_number(number, column) + column.marks[place_of(name)];
        };
        row.append(make("td", value(first)), make("td", value(one.other)));
        const sign = one.mean > 0 ? "+" : "";
        row.append(make("td", `${sign}${write_number(one.mean, column)}`));
        const range = `[${write_number(one.low, column)}, ${write_number(one.high, column)}]`;
        const cell = make("td", `${range} `);
        const scale = 85 / (ends[column.share ? "share" : column.metric] || 1);
        const svg = make("svg", "", { width: 180, height: 12, role: "img", "aria-label": range });
        svg.append(
          make("line", "", { class: "zero", x1: 90, x2: 90, y1: 0, y2: 12 }),
          make("line", "", { class: "bar", x1: 90 + one.low * scale, x2: 90 + one.high * scale, y1: 6, y2: 6 }),
          make("circle", "", { cx: 90 + one.mean * scale, cy: 6, r: 3 }),
        );
        cell.append(svg);
        row.append(cell, make("td", one.adjusted < 0.001 ? "< 0.001" : one.adjusted.toFixed(3)));
        row.append(make("td", better === "open" ? "not told apart" : better === "first" ? first : one.other));
        body.append(row);
      }
      byId("forest").hidden = shown.length === 0;
      const kind = world.data === "real" ? "real data" : "GENERATED data";
      const alone = shown.filter((one) => one.adjusted > 0.05 && (one.low > 0 || one.high < 0)).length;
      byId("verdict").textContent = data.encoders.length < 2 ? "There is no other encoder to compare it with."
        : first === second ? "Choose two different encoders."
        : shown.length === 0 ? (second ? "The two share no task here." : "No other encoder shares a task with it here.")
          : `On ${kind}, of ${shown.length} comparisons ${first} is better in ${counts.first}, ${second || "another"} in ${counts.second}, and ${counts.open} are not told apart${alone ? ` (${alone} of these have an interval that leaves 0 out, but would not be certain among so many)` : ""}.`;
      pictures(world, first, second, chosen);
    };
    const pictures = (world, first, second, chosen) => {
      const box = byId("cases");
      box.replaceChildren();
      const [key, turned] = key_of(first, second);
      const found = (world.cases[key] || []).filter((one) =>
        (!chosen.get("kind") || one.kind === chosen.get("kind")) && (!chosen.get("fraction") || one.labels === chosen.get("fraction")));
      byId("cases-head").hidden = byId("cases-told").hidden = found.length === 0;
      for (const one of found) {
        const [mine, theirs] = turned ? [one.scores[1], one.scores[0]] : one.scores;
        const figure = make("figure");
        const caption = make("figcaption", `${one.task}, ${one.labels}: ${one.measure} ${first} ${mine}, ${second} ${theirs}`);
        figure.append(caption);
        const pictures = turned ? [one.pictures[1], one.pictures[0]] : one.pictures;
        [first, second].forEach((name, n) => {
          if (pictures[0] && pictures[1]) figure.append(make("div", name, { class: "facts" }));
          if (pictures[n]) figure.append(make("img", "", { src: pictures[n].src, width: pictures[n].width, height: pictures[n].height, loading: "lazy", alt: `${name}: ${pictures[n].alt}`, title: name }));
        });
        box.append(figure);
      }
    };
    if (data.encoders.length > 1) pair.elements.second.value = data.encoders[data.encoders.length - 1];
    if (data.encoders.length > 1) pair.elements.first.value = data.encoders[data.encoders.length - 2];
    if (read().has("first") && !read().has("second")) pair.elements.second.value = "";
    restore(pair);
    byId("swap").addEventListener("click", () => {
      const { first, second } = pair.elements;
      if (second.value) [first.value, second.value] = [second.value, first.value];
      draw();
      remember(pair);
    });
    pair.addEventListener("input", () => { draw(); remember(pair); });
    pair.addEventListener("submit", (event) => event.preventDefault());
    addEventListener("hashchange", () => { if (location.hash.includes("=")) { restore(pair); draw(); } });
    pair.hidden = false;
    draw();
  }
})();
