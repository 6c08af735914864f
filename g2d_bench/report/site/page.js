"use strict";
(() => {
  const form = document.getElementById("filters");
  const facets = ["data", "protocol", "kind", "task", "fraction"];

  // Sections and lines of the overview show if they agree with every choice that concerns them; rows if they
  // bear the wanted part of a name.
  function filter() {
    const chosen = new FormData(form);
    const passes = (part) => facets.every((name) => {
      const wanted = chosen.get(name);
      return !wanted || !(name in part.dataset) || part.dataset[name] === wanted;
    });
    for (const part of document.querySelectorAll("section.task, .overview tbody tr")) part.hidden = !passes(part);
    for (const section of document.querySelectorAll(".overview")) {
      let panel = null;
      let lines = 0;
      for (const row of section.querySelectorAll("tbody tr")) {
        if (row.classList.contains("panel")) {
          panel = row;
          panel.hidden = true;
        } else if (!row.hidden) {
          lines += 1;
          if (panel) panel.hidden = false;
        }
      }
      section.hidden = lines === 0 || !passes(section);
    }
    document.getElementById("none").hidden = document.querySelector("section.task:not([hidden])") !== null;
    const part = (chosen.get("encoder") || "").trim().toLowerCase();
    for (const row of document.querySelectorAll(".task tbody tr")) {
      const saw = chosen.has("clean") && row.dataset.saw;
      row.hidden = row.classList.contains("measured") && (saw || !row.dataset.encoder.toLowerCase().includes(part));
    }
    document.body.classList.toggle("labels", chosen.has("labels"));
    document.body.classList.toggle("clean", chosen.has("clean"));
  }

  // Measured rows change places; quoted rows and trivial predictors stay below them.
  function sort(head) {
    const table = head.closest("table");
    const body = table.tBodies[0];
    const column = head.cellIndex;
    const down = head.getAttribute("aria-sort") !== "descending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => {
      const cell = row.cells[column];
      if (!("value" in cell.dataset)) return cell.textContent.trim();
      return cell.dataset.value === "" ? null : Number(cell.dataset.value);
    };
    const rows = [...body.rows].filter((row) => row.classList.contains("measured"));
    rows.sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      const order = typeof x === "number" ? x - y : y.localeCompare(x);
      return down ? -order : order;
    });
    const rest = [...body.rows].filter((row) => !row.classList.contains("measured"));
    body.append(...rows, ...rest);
  }

  for (const head of document.querySelectorAll(".sortable thead th:not(:last-child)")) {
    head.setAttribute("role", "button");
    head.tabIndex = 0;
    head.addEventListener("click", () => sort(head));
    head.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      sort(head);
    });
  }
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
})();
