// The findings as columns: `words` are what occurs, `at` which of them each row holds (null: each row its own).

const SEVERITIES = ["low", "medium", "high", "critical"];

class Column {
  constructor(name, encoded, rank) {
    this.name = name;
    this.words = Array.isArray(encoded) ? encoded : encoded.of;
    this.length = Array.isArray(encoded) ? encoded.length : encoded.at ? encoded.at.length : encoded.count;
    this.at = Array.isArray(encoded) ? null : encoded.at ? Uint32Array.from(encoded.at) : new Uint32Array(this.length);
    this.compare = rank ?? compareCells;
    this.lower = null;
    this.ranks = null;
  }

  cell(row) {
    return this.words[this.at ? this.at[row] : row];
  }

  // Which words hold a text in lower case: one byte a word.
  holds(text) {
    this.lower ??= this.words.map((word) => String(word).toLowerCase());
    return Uint8Array.from(this.lower, (word) => (word.includes(text) ? 1 : 0));
  }

  // The place of each word among all of them, so that rows sort by numbers.
  order() {
    if (!this.ranks) {
      const sorted = Uint32Array.from(this.words.keys());
      sorted.sort((a, b) => this.compare(this.words[a], this.words[b]));
      this.ranks = new Uint32Array(sorted.length);
      let rank = 0;
      sorted.forEach((word, place) => {
        if (place && this.compare(this.words[sorted[place - 1]], this.words[word])) rank = place;
        this.ranks[word] = rank;
      });
    }
    return this.ranks;
  }

  // How often each word occurs, the words in their order.
  counts() {
    const counts = new Map();
    for (let row = 0; row < this.length; row++) counts.set(this.cell(row), (counts.get(this.cell(row)) ?? 0) + 1);
    return [...counts].sort((a, b) => this.compare(a[0], b[0]));
  }
}

// Numbers before text, each in its own order.
function compareCells(a, b) {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareSeverities(a, b) {
  return SEVERITIES.indexOf(a) - SEVERITIES.indexOf(b);
}

function readJson(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

// The columns of the rows, and how they are shown. An evidence item is known by the file that a row is of.
function readColumns(view) {
  const found = new Map();
  for (const [name, encoded] of Object.entries(readJson("findings"))) {
    found.set(name, new Column(name, encoded, name === "severity" ? compareSeverities : undefined));
  }
  if (Object.keys(view.exhibits).length) {
    const source = found.get("source");
    const words = source.words.map((word) => view.exhibits[word] ?? word);
    found.set("exhibit", new Column("exhibit", source.at ? { of: words, at: source.at } : words));
  }
  return found;
}

// The columns that are written and looked up: all but those that the page made itself.
function own(columns) {
  return [...columns.keys()].filter((name) => name !== "exhibit");
}
