// The pictures, drawn by Bokeh as SVG: once, in colours that can be told from light and from dark paper.

const PROVIDER_COLOURS = { "identity": "#d32f2f", "unknown": "#757575", "aescbc": "#1f77b4", "aesgcm": "#00a5b5", "secretbox": "#2e8b57", "kms v1": "#b8860b", "kms v2": "#7e57c2", "others": "#9e9e9e" };
const PLACE_COLOURS = { "latest": "#1f77b4", "history": "#00a5b5", "deleted": "#2e8b57", "old-value": "#8d6e63", "previous-root": "#b8860b", "freed": "#e65100", "slack": "#757575", "wal": "#7e57c2", "v2-store": "#ad1457", "unplaced": "#9e9e9e" };
const PAGE_COLOURS = ["#e00000", "#ff9800", "#6fa3d0", "#546e7a", "rgba(128,128,128,0.25)", "rgba(126,87,194,0.5)", "rgba(184,134,11,0.3)"];
const INK = "#7b7b82";
const HAIRLINE = "rgba(128,128,128,0.25)";
const WIDEST = 640;

// Later series of the same colour are lighter.
function shades(series, colours) {
  const used = new Map();
  return series.map(({ provider, name }) => {
    const base = colours[provider ?? name] ?? "#9e9e9e";
    const times = used.get(base) ?? 0;
    used.set(base, times + 1);
    const light = 1 - 0.7 ** times;
    const parts = [1, 3, 5].map((at) => Math.round(Number.parseInt(base.slice(at, at + 2), 16) * (1 - light) + 255 * light));
    return `rgb(${parts.join(",")})`;
  });
}

function legend(id, entries) {
  document.getElementById(id).replaceChildren(...entries.map(([colour, text]) => {
    const swatch = element("i");
    swatch.style.background = colour;
    return element("span", "", swatch, text);
  }));
}

function figureIn(id, options) {
  const width = Math.min(WIDEST, document.getElementById(id).clientWidth || WIDEST);
  const figure = Bokeh.Plotting.figure({
    width, toolbar_location: null, tools: [], output_backend: "svg", background_fill_color: null, border_fill_color: null, outline_line_color: null, ...options,
  });
  for (const axis of [...figure.xaxis, ...figure.yaxis]) {
    Object.assign(axis, { axis_line_color: INK, major_tick_line_color: INK, minor_tick_line_color: null, major_label_text_color: INK, axis_label_text_color: INK, axis_label_text_font_style: "normal" });
  }
  for (const grid of figure.grid) grid.grid_line_color = HAIRLINE;
  return figure;
}

function show(figure, id) {
  return Bokeh.Plotting.show(figure, document.getElementById(id));
}

function drawPages(map, choose) {
  const said = document.getElementById("pages-said");
  if (!map.cells.length) {
    said.textContent = "There is no map of pages in this evidence.";
    return null;
  }
  const count = map.cells.length;
  const across = count > 1000 ? 80 : count > 200 ? 40 : 20;
  const down = Math.ceil(count / across);
  const readable = new Map(map.readable);
  const findings = new Map(map.findings);
  const range = (cell) => ({ first: cell * map.each, last: Math.min((cell + 1) * map.each, map.pages) - 1 });
  const data = { x: [], y: [], colour: [], pages: [], what: [], readable: [], findings: [] };
  map.cells.forEach((kind, cell) => {
    data.x.push((cell % across) + 0.5);
    data.y.push(down - Math.floor(cell / across) - 0.5);
    data.colour.push(PAGE_COLOURS[kind]);
    data.pages.push(pagesSaid(range(cell)));
    data.what.push(map.classes[kind]);
    data.readable.push(readable.get(cell) ?? 0);
    data.findings.push(findings.get(cell) ?? 0);
  });
  const source = new Bokeh.ColumnDataSource({ data });
  const figure = figureIn("pages-picture", {
    height: Math.max(60, Math.min(360, 14 * down + 10)), x_range: [0, across], y_range: [0, down], x_axis_type: null, y_axis_type: null, tools: ["tap"], min_border: 4,
  });
  for (const grid of figure.grid) grid.visible = false;
  const cells = figure.rect({
    x: { field: "x" }, y: { field: "y" }, width: 0.9, height: 0.86, fill_color: { field: "colour" }, line_color: null, nonselection_fill_alpha: 1, selection_line_color: "#000", source,
  });
  figure.add_tools(new Bokeh.HoverTool({ renderers: [cells], tooltips: [["pages", "@pages"], ["are", "@what"], ["with something readable", "@readable"], ["findings", "@findings"]] }));
  source.selected.properties.indices.change.connect(() => {
    const [cell] = source.selected.indices;
    if (cell !== undefined) choose(range(cell));
  });
  const each = map.each === 1 ? "a cell is a page" : `a cell is ${map.each.toLocaleString("en")} pages`;
  said.textContent = `${map.pages.toLocaleString("en")} pages, from the left and the top; ${each}. A click shows the findings on it.`;
  const present = new Set(map.cells);
  legend("pages-legend", map.classes.map((text, kind) => [PAGE_COLOURS[kind], text]).filter((_, kind) => present.has(kind)));
  linkPages(map, range, choose);
  return { figure, source, shown: show(figure, "pages-picture") };
}

// The first pages with something readable as links, freed ones first, for those who do not see or point at the picture.
function linkPages(map, range, choose) {
  const most = 12;
  const ranked = [...map.readable].sort((a, b) => map.cells[a[0]] - map.cells[b[0]] || a[0] - b[0]);
  const links = ranked.slice(0, most).map(([cell]) => {
    const link = element("button", pagesSaid(range(cell)));
    link.type = "button";
    link.addEventListener("click", () => choose(range(cell)));
    return link;
  });
  if (map.readable.length > most) links.push(element("span", `and ${(map.readable.length - most).toLocaleString("en")} more`));
  document.getElementById("pages-links").replaceChildren(...links);
}

function drawTimeline({ start, each, series }) {
  const said = document.getElementById("timeline-said");
  if (!series.length) {
    said.textContent = "No stored value has a known revision.";
    return null;
  }
  const figure = figureIn("timeline-picture", { height: 260, x_axis_label: "mod revision", y_axis_label: "stored values" });
  const colours = shades(series, PROVIDER_COLOURS);
  const bottom = series[0].counts.map(() => 0);
  series.forEach(({ name, counts }, which) => {
    const left = counts.map((_, bin) => start + bin * each);
    const top = counts.map((count, bin) => bottom[bin] + count);
    const data = { left, right: left.map((at) => at + each), bottom: [...bottom], top, count: counts, provider: counts.map(() => name), last: left.map((at) => at + each - 1) };
    const bars = figure.quad({
      left: { field: "left" }, right: { field: "right" }, bottom: { field: "bottom" }, top: { field: "top" }, fill_color: colours[which], line_color: null, source: new Bokeh.ColumnDataSource({ data }),
    });
    figure.add_tools(new Bokeh.HoverTool({ renderers: [bars], tooltips: [["provider", "@provider"], ["revisions", "@left to @last"], ["values", "@count"]] }));
    top.forEach((value, bin) => { bottom[bin] = value; });
  });
  figure.y_range.start = 0;
  said.textContent = "Where each stored value was written, and what its prefix claims: a migration changes the colour.";
  legend("timeline-legend", series.map(({ name }, which) => [colours[which], name]));
  return { figure, shown: show(figure, "timeline-picture") };
}

function drawBars(id, { rows, series }, colours) {
  if (!rows.length) {
    document.getElementById(`${id}-picture`).textContent = "There are none.";
    return null;
  }
  const shown = rows.map((text) => cut(text).slice(0, 40));
  const heights = rows.map((_, row) => rows.length - row - 0.5);
  const figure = figureIn(`${id}-picture`, { height: 60 + 26 * rows.length, y_range: [0, rows.length], x_axis_label: "stored values" });
  for (const grid of figure.ygrid) grid.visible = false;
  for (const axis of figure.yaxis) {
    axis.ticker = new Bokeh.FixedTicker({ ticks: heights });
    axis.major_label_overrides = new Map(heights.map((at, row) => [at, shown[row]]));
    axis.major_tick_line_color = null;
  }
  const picked = shades(series, colours);
  const left = rows.map(() => 0);
  series.forEach(({ name, counts }, which) => {
    const right = counts.map((count, row) => left[row] + count);
    const data = { y: heights, left: [...left], right, count: counts, of: rows, name: counts.map(() => name) };
    const bars = figure.hbar({
      y: { field: "y" }, left: { field: "left" }, right: { field: "right" }, height: 0.7, fill_color: picked[which], line_color: null, source: new Bokeh.ColumnDataSource({ data }),
    });
    figure.add_tools(new Bokeh.HoverTool({ renderers: [bars], tooltips: [["", "@of"], ["", "@name"], ["values", "@count"]] }));
    right.forEach((value, row) => { left[row] = value; });
  });
  figure.x_range.start = 0;
  for (const axis of figure.xaxis) axis.formatter = new Bokeh.NumeralTickFormatter({ format: "0,0" });
  legend(`${id}-legend`, series.map(({ name }, which) => [picked[which], name]));
  return { figure, shown: show(figure, `${id}-picture`) };
}

function drawAll(pictures, choose) {
  Bokeh.set_log_level("warn");
  const drawn = { pages: drawPages(pictures.pages, choose), timeline: drawTimeline(pictures.timeline), shares: drawBars("shares", pictures.shares, PROVIDER_COLOURS), keys: drawBars("keys", pictures.keys, PLACE_COLOURS) };
  if (pictures.keys.left) document.getElementById("keys-said").textContent = `${pictures.keys.left} more keys are in the table below.`;
  return drawn;
}
