// Put the parts together once the page is there.

const page = {};

function fillChoices(columns, filter, facets, changed) {
  for (const name of facets) {
    const select = document.getElementById(`filter-${name}`);
    const choices = columns.get(name).counts();
    select.append(new Option(`all (${choices.length})`, ""));
    choices.forEach(([value, count], place) => select.append(new Option(`${cut(String(value)) || "(empty)"} (${count.toLocaleString("en")})`, place + 1)));
    select.addEventListener("change", () => {
      if (select.value) filter.chosen.set(name, [choices[select.value - 1][0]]);
      else filter.chosen.delete(name);
      changed();
    });
    page.choices.set(name, choices.map(([value]) => value));
  }
}

// Show in the lists of choices what a tile has chosen.
function showChoices(filter) {
  for (const [name, values] of page.choices) {
    const chosen = filter.chosen.get(name) ?? [];
    document.getElementById(`filter-${name}`).value = chosen.length === 1 && values.includes(chosen[0]) ? values.indexOf(chosen[0]) + 1 : "";
  }
}

// A table that fits needs no stop of the tabulator key: only what scrolls is scrolled by keys.
function stopWhereItScrolls() {
  for (const box of document.querySelectorAll(".scroll")) {
    if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

function start() {
  document.documentElement.classList.add("scripted");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark", dark.matches);
  dark.addEventListener("change", follow);
  follow();
  stopWhereItScrolls();
  addEventListener("resize", stopWhereItScrolls);

  const view = readJson("view");
  const columns = readColumns(view);
  const filter = new Filter(columns, view.nouns);
  page.choices = new Map();
  const search = document.getElementById("search");
  const chip = document.getElementById("filter-pages");
  const note = document.getElementById("filtered");
  const said = (rows) => {
    note.textContent = filter.active ? filter.said(rows.length) : "";
    document.getElementById("export").textContent = `Export CSV (${rows.length.toLocaleString("en")})`;
    document.getElementById("clear").disabled = !filter.active;
    chip.textContent = filter.pages ? pagesSaid(filter.pages) : "";
  };
  const { table, rows } = showTable(columns, filter, view, readJson("explained"), said);
  const changed = () => table.draw();
  const reveal = () => document.getElementById("findings-section").scrollIntoView({ behavior: "instant" });
  fillChoices(columns, filter, view.facets, changed);

  let waiting;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      filter.search = search.value.trim();
      changed();
    }, 150);
  });
  linkPages((range) => {
    filter.pages = range;
    changed();
    reveal();
  });
  for (const tile of document.querySelectorAll("a[data-filter]")) {
    tile.addEventListener("click", (event) => {
      event.preventDefault();
      filter.clear();
      document.getElementById("filters").reset();
      for (const [name, values] of Object.entries(JSON.parse(tile.dataset.filter))) filter.chosen.set(name, values);
      showChoices(filter);
      changed();
      reveal();
      document.querySelector("#findings-section h2").focus({ preventScroll: true });
    });
  }
  document.getElementById("clear").addEventListener("click", () => {
    filter.clear();
    document.getElementById("filters").reset();
    changed();
  });
  document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("export").addEventListener("click", () => exportCsv(columns, rows(), filter, view));
  document.getElementById("print").addEventListener("click", () => print());
  addEventListener("beforeprint", () => preparePrint(columns, filter, view, rows()));
  Object.assign(page, { columns, filter, table });
}

start();
document.documentElement.dataset.ready = "yes";
