// The findings as CSV, cell by cell as auditor/reports/csv.py writes them; filtered ones say so in a column of their own.

const FORMULA = /^"*[=+\-@\t\r']/;
// a mark at which some spreadsheets split, before what one of them would take for a formula
const INNER = /([,;|\t\n\r])(?="*[=+\-@\t\r'])/g;

function csvCell(cell, number) {
  let text = String(cell);
  if (!number) {
    if (FORMULA.test(text)) text = `'${text}`;
    text = text.replace(INNER, "$1'");
  }
  return /[,"\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csvText(columns, rows, filtered, view) {
  const names = own(columns);
  const written = names.map((name) => columns.get(name)).map((column) => {
    const texts = column.words.map((word) => csvCell(word, view.numbers.includes(column.name)));
    return (row) => texts[column.at ? column.at[row] : row];
  });
  if (filtered) {
    names.push("filtered");
    written.push(() => csvCell(filtered, false));
  }
  const lines = [names.join(",")];
  for (const row of rows) lines.push(written.map((write) => write(row)).join(","));
  return lines.join("\n") + "\n";
}

function exportCsv(columns, rows, filter, view) {
  const text = csvText(columns, rows, filter.active ? filter.said(rows.length) : "", view);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = filter.active ? `${view.nouns}-filtered-${rows.length}-of-${filter.total}.csv` : `${view.nouns}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
