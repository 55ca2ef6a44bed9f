// Put the parts together once the page is there.

const page = {};

function fillChoices(columns, filter, changed) {
  for (const name of FACETS) {
    const select = document.getElementById(`filter-${name}`);
    const choices = columns.get(name).counts();
    select.append(new Option(`all (${choices.length})`, ""));
    choices.forEach(([value, count], place) => select.append(new Option(`${cut(String(value)) || "(empty)"} (${count.toLocaleString("en")})`, place + 1)));
    select.addEventListener("change", () => {
      if (select.value) filter.chosen.set(name, choices[select.value - 1][0]);
      else filter.chosen.delete(name);
      changed();
    });
  }
}

function start() {
  document.documentElement.classList.add("scripted");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark", dark.matches);
  dark.addEventListener("change", follow);
  follow();

  const columns = readColumns();
  const filter = new Filter(columns);
  const search = document.getElementById("search");
  const chip = document.getElementById("filter-pages");
  const note = document.getElementById("filtered");
  const said = (rows) => {
    note.textContent = filter.active ? filter.said(rows.length) : "";
    document.getElementById("export").textContent = `Export CSV (${rows.length.toLocaleString("en")})`;
    document.getElementById("clear").disabled = !filter.active;
    chip.textContent = filter.pages ? pagesSaid(filter.pages) : "";
  };
  const { table, rows } = showTable(columns, filter, readJson("explained"), said);
  const changed = () => table.draw();
  fillChoices(columns, filter, changed);

  let waiting;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      filter.search = search.value.trim();
      changed();
    }, 150);
  });
  const pictures = readJson("pictures");
  const choose = (range) => {
    filter.pages = { ...range, source: pictures.pages.source, size: pictures.pages.size };
    changed();
    document.getElementById("findings-section").scrollIntoView({ behavior: "instant" });
  };
  document.getElementById("clear").addEventListener("click", () => {
    filter.clear();
    document.getElementById("filters").reset();
    changed();
  });
  document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("export").addEventListener("click", () => exportCsv(columns, rows(), filter));
  document.getElementById("print").addEventListener("click", () => print());
  addEventListener("beforeprint", () => preparePrint(columns, filter, rows()));
  Object.assign(page, { columns, filter, table, pictures: drawAll(pictures, choose) });
}

start();
document.documentElement.dataset.ready = "yes";
