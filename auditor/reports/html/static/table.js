// The table of findings: DataTables asks for the rows of one screen, and gets them out of the columns.

const SHOWN = ["severity", "finding", "place", "namespace", "name", "provider", "key_name", "same_as_latest", "type", "mod_revision", "page", "offset"];
const LONGEST = 120;

function cut(text) {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}\u2026` : text;
}

function showTable(columns, filter, texts, drawn) {
  const names = [...SHOWN, ...[...columns.keys()].filter((name) => !SHOWN.includes(name))];
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
      { title: "", orderable: false, data: "row", className: "opener", render: (row) => `<button type="button" data-row="${Number(row)}" aria-expanded="false" aria-label="explain this finding">+</button>` },
      ...names.map((name, place) => ({
        title: safe(name.replaceAll("_", " ")),
        data: `cells.${place}`,
        name,
        visible: SHOWN.includes(name),
        className: NUMBERS.has(name) ? "number" : `of-${name}`,
        render: (cell) => safe(cut(String(cell))),
      })),
    ],
    order: [[1, "desc"]],
    orderClasses: false,
    searching: false,
    autoWidth: false,
    pageLength: 25,
    lengthMenu: [10, 25, 100, 500],
    layout: { topStart: "pageLength", topEnd: { buttons: [{ extend: "colvis", text: "Columns", columns: ":gt(0)" }] }, bottomStart: "info", bottomEnd: "paging" },
    language: { emptyTable: "No findings", zeroRecords: "No finding passes these filters", lengthMenu: "_MENU_ findings a page", info: "_START_ to _END_ of _TOTAL_ findings", infoFiltered: "(filtered: _TOTAL_ of _MAX_)", infoEmpty: "0 findings" },
    rowCallback: (line, { cells }) => line.setAttribute("data-severity", cells[0]),
  });
  jQuery("#table").on("click", "button[data-row]", ({ currentTarget }) => {
    const child = table.row(currentTarget.closest("tr")).child;
    const open = child.isShown();
    if (open) child.hide();
    else child(explained(columns, Number(currentTarget.dataset.row), texts)).show();
    currentTarget.setAttribute("aria-expanded", String(!open));
    currentTarget.textContent = open ? "+" : "\u2212";
  });
  return { table, rows: () => seen };
}
