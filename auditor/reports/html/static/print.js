// What is printed of a filtered view: its findings by object, in the order and the words of objects.py.

const MOST_PRINTED = 300;
const MOST_USERS = 2;
const SAME = ["", "no", "unknown", "elsewhere", "part", "yes"];
const HELD = 3; // from there on something is current: told apart in the cell, not in the order

function grouped(columns, rows) {
  const [resource, namespace, name, finding, severity, same] = ["resource", "namespace", "name", "finding", "severity", "same_as_latest"].map((each) => columns.get(each));
  const cells = (row) => {
    const object = [resource.cell(row), namespace.cell(row), name.cell(row)];
    return [...object, object[1] || object[2] ? "" : finding.cell(row)];
  };
  const groups = new Map();
  for (const row of rows) {
    const key = JSON.stringify(cells(row));
    const found = groups.get(key) ?? { rows: [], severity: 0, same: 0 };
    groups.set(key, found);
    found.rows.push(row);
    found.severity = Math.max(found.severity, SEVERITIES.indexOf(severity.cell(row)));
    found.same = Math.max(found.same, SAME.indexOf(same.cell(row)));
  }
  const ranked = [...groups.values()];
  ranked.sort((a, b) => {
    const gravity = b.severity - a.severity || Math.min(b.same, HELD) - Math.min(a.same, HELD);
    if (gravity) return gravity;
    const [mine, others] = [cells(a.rows[0]), cells(b.rows[0])];
    for (let part = 0; part < mine.length; part++) {
      const order = compareCells(mine[part], others[part]);
      if (order) return order;
    }
    return 0;
  });
  return ranked;
}

// A row that is an object: its cells by the columns that each is made of, as shell.py joins them.
function objectLine(columns, row, lines) {
  return lines.map((names) => names.map((name) => String(columns.get(name).cell(row))).filter(Boolean).join("/"));
}

function printedLine(columns, group) {
  const [first] = group.rows;
  const cell = (name) => String(columns.get(name).cell(first));
  const every = (name) => [...new Set(group.rows.map((row) => String(columns.get(name).cell(row))))].filter(Boolean);
  const distinct = (name) => every(name).join(", ");
  const users = [...new Set(every("used_by").flatMap((text) => text.split(";")))];
  const used = users.slice(0, MOST_USERS).join(", ") + (users.length > MOST_USERS ? " and more" : "");
  const others = every("source").length - 1;
  const more = others > 0 ? ` and in ${others.toLocaleString("en")} more ${others === 1 ? "file" : "files"}` : "";
  const details = every("detail");
  const rest = details.length > 1 ? ` and ${(details.length - 1).toLocaleString("en")} more` : "";
  const named = cell("namespace") ? `${cell("namespace")}/${cell("name")}` : cell("name") || (details[0] ?? "") + rest;
  const at = `${cell("source")} ${cell("offset")}`.trim() + more;
  const count = group.rows.length.toLocaleString("en");
  return [SEVERITIES[group.severity], named, distinct("finding"), distinct("place"), SAME[group.same], distinct("valid_until"), used, count, cell("resource"), at];
}

// Put the filtered findings into the printed table, and the whole ones back when nothing is filtered.
function preparePrint(columns, filter, view, rows) {
  const section = document.getElementById("objects");
  const body = section.querySelector("tbody");
  const said = document.getElementById("objects-said");
  const note = document.getElementById("objects-filtered");
  preparePrint.whole ??= { lines: [...body.children], said: said.textContent };
  note.hidden = !filter.active;
  if (!filter.active) {
    body.replaceChildren(...preparePrint.whole.lines);
    said.textContent = preparePrint.whole.said;
    return;
  }
  const lines = view.lines.length
    ? [...sorted(rows, columns, columns.has("severity") ? [["severity", "desc"]] : [])].map((row) => () => objectLine(columns, row, view.lines))
    : grouped(columns, rows).map((group) => () => printedLine(columns, group));
  note.textContent = filter.said(rows.length);
  const shown = lines.slice(0, MOST_PRINTED);
  said.textContent = shown.length < lines.length
    ? `The first ${shown.length} of ${lines.length.toLocaleString("en")} objects, most severe first.`
    : `${lines.length.toLocaleString("en")} objects, most severe first.`;
  body.replaceChildren(...shown.map((line) => element("tr", "", ...line().map((text) => element("td", text)))));
}
