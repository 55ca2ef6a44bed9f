// The table of findings: DataTables asks for the rows of one screen, and gets them out of the columns.

const LONGEST = 120;
const PHONE = matchMedia("(max-width: 40rem)");
const MEDIUM = matchMedia("(max-width: 88rem)");
const WIDE = ["type"]; // on a screen of middling width at the price of what says where a value lies

const LONGEST_PATH = 44;

// A path keeps its beginning and its end, which tell it from others.
function shortened(path) {
  if (path.length <= LONGEST_PATH) return path;
  const end = Math.floor((LONGEST_PATH - 1) / 2);
  return `${path.slice(0, LONGEST_PATH - 1 - end)}\u2026${path.slice(path.length - end)}`;
}

function cut(text) {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}\u2026` : text;
}

// What a row is about, so that each button has a name of its own.
function named(columns, row) {
  const cell = (name) => (columns.has(name) ? String(columns.get(name).cell(row)) : "");
  const about = [cell("namespace"), cell("name")].filter(Boolean).join("/") || [cell("provider"), cell("key_name")].filter(Boolean).join("/");
  return [cell("finding") || cell("form"), about, cell("exhibit") || cell("source"), cell("offset")].filter(Boolean).join(" ") || `row ${row + 1}`;
}

function showTable(columns, filter, view, texts, drawn) {
  const shown = PHONE.matches ? view.phone : view.shown.filter((name) => !MEDIUM.matches || !WIDE.includes(name));
  const names = [...view.shown, ...[...columns.keys()].filter((name) => !view.shown.includes(name))];
  const order = names.indexOf("severity") + 1;
  const safe = jQuery.fn.dataTable.render.text().display;
  let seen = new Uint32Array();
  const table = jQuery("#table").DataTable({
    serverSide: true,
    ajax: (asked, answer) => {
      const by = asked.order.map(({ column, dir }) => [names[column - 1], dir]);
      seen = filter.rows();
      const screen = sorted(seen, columns, by).subarray(asked.start, asked.start + asked.length);
      answer({
        draw: asked.draw,
        recordsTotal: filter.total,
        recordsFiltered: seen.length,
        data: [...screen].map((row) => ({ row, cells: names.map((name) => columns.get(name).cell(row)) })),
      });
      drawn(seen);
    },
    columns: [
      { title: '<span class="unseen">Details</span>', orderable: false, data: "row", className: "opener", render: (row) => `<button type="button" data-row="${Number(row)}" aria-expanded="false"><span aria-hidden="true">+</span><span class="unseen">Details of ${safe(named(columns, Number(row)))}</span></button>` },
      ...names.map((name, place) => ({
        title: name === "exhibit" ? "evidence item" : safe(name.replace("key_name", "key").replaceAll("_", " ")),
        data: `cells.${place}`,
        name,
        visible: shown.includes(name),
        className: view.numbers.includes(name) ? "number" : `of-${name}`,
        render: (cell) => safe(name === "exhibit" ? shortened(String(cell)) : cut(String(cell))),
      })),
    ],
    order: order ? [[order, "desc"]] : [],
    orderClasses: false,
    searching: false,
    autoWidth: false,
    pageLength: 25,
    lengthMenu: [10, 25, 100, 500],
    layout: { topStart: "pageLength", topEnd: { buttons: [{ extend: "colvis", text: "Columns", columns: ":gt(0)" }] }, bottomStart: "info", bottomEnd: "paging" },
    language: { emptyTable: `No ${view.nouns}`, zeroRecords: `No ${view.noun} passes these filters`, lengthMenu: `_MENU_ ${view.nouns} a page`, info: `_START_ to _END_ of _TOTAL_ ${view.nouns}`, infoFiltered: "(filtered: _TOTAL_ of _MAX_)", infoEmpty: `0 ${view.nouns}` },
    rowCallback: (line, { cells }) => order && line.setAttribute("data-severity", cells[order - 1]),
  });
  jQuery("#table").on("click", "button[data-row]", ({ currentTarget }) => {
    const child = table.row(currentTarget.closest("tr")).child;
    const open = child.isShown();
    if (open) child.hide();
    else child(explained(columns, Number(currentTarget.dataset.row), texts)).show();
    currentTarget.setAttribute("aria-expanded", String(!open));
    currentTarget.firstElementChild.textContent = open ? "+" : "\u2212";
  });
  return { table, rows: () => seen };
}
