// Which rows are seen: a search in every column, the values that a column may have, and a range of pages.

class Filter {
  constructor(columns, nouns) {
    this.columns = columns;
    this.nouns = nouns;
    this.total = columns.values().next().value.length;
    this.clear();
  }

  clear() {
    this.search = "";
    this.chosen = new Map();
    this.pages = null;
  }

  get active() {
    return this.search !== "" || this.chosen.size > 0 || this.pages !== null;
  }

  // Row numbers in the order of the evidence.
  rows() {
    const kept = new Uint8Array(this.total).fill(1);
    for (const [name, values] of this.chosen) {
      const column = this.columns.get(name);
      const wanted = Uint8Array.from(column.words, (word) => (values.includes(word) ? 1 : 0));
      for (let row = 0; row < this.total; row++) if (!wanted[column.at ? column.at[row] : row]) kept[row] = 0;
    }
    if (this.pages) this.onPages(kept);
    if (this.search) this.searched(kept);
    return Uint32Array.from(kept.keys()).filter((row) => kept[row]);
  }

  onPages(kept) {
    const { source, first, last, size } = this.pages;
    const [sources, pages, offsets, sizes] = ["source", "page", "offset", "size"].map((name) => this.columns.get(name));
    for (let row = 0; row < this.total; row++) {
      const begin = pages.cell(row);
      const end = Math.floor((offsets.cell(row) + Math.max(sizes.cell(row), 1) - 1) / size);
      if (sources.cell(row) !== source || typeof begin !== "number" || begin > last || end < first) kept[row] = 0;
    }
  }

  searched(kept) {
    const text = this.search.toLowerCase();
    const hit = new Uint8Array(this.total);
    for (const column of this.columns.values()) {
      const holds = column.holds(text);
      if (!holds.includes(1)) continue;
      for (let row = 0; row < this.total; row++) if (holds[column.at ? column.at[row] : row]) hit[row] = 1;
    }
    for (let row = 0; row < this.total; row++) kept[row] &= hit[row];
  }

  // "filtered: n of N", and by what.
  said(count) {
    const by = [...this.chosen].map(([name, values]) => `${name.replaceAll("_", " ")} ${values.map((value) => (value === "" ? "(empty)" : value)).join(" or ")}`);
    if (this.pages) by.push(pagesSaid(this.pages));
    if (this.search) by.push(`search "${this.search}"`);
    return `filtered: ${count.toLocaleString("en")} of ${this.total.toLocaleString("en")} ${this.nouns} (${by.join(", ")})`;
  }
}

function pagesSaid({ first, last }) {
  return first === last ? `page ${first}` : `pages ${first} to ${last}`;
}

// Rows in the order of some columns: [name, "asc" or "desc"] pairs, the first one first.
function sorted(rows, columns, by) {
  const keys = by.map(([name, direction]) => [columns.get(name), columns.get(name).order(), direction === "desc" ? -1 : 1]);
  return keys.length === 0
    ? rows
    : rows.slice().sort((a, b) => {
        for (const [column, ranks, sign] of keys) {
          const order = ranks[column.at ? column.at[a] : a] - ranks[column.at ? column.at[b] : b];
          if (order) return sign * order;
        }
        return a - b;
      });
}
