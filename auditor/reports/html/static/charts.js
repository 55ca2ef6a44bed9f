// The charts are drawn already. A click on the map of pages, or on a link under it, shows the rows on a page.

function linkPages(choose) {
  const figure = document.getElementById("chart-pages");
  if (!figure) return;
  const { source } = figure.dataset;
  const [size, each, pages, across] = ["size", "each", "pages", "across"].map((name) => Number(figure.dataset[name]));
  figure.addEventListener("click", ({ target, clientX, clientY }) => {
    if (target.matches("button[data-first]")) {
      choose({ source, size, first: Number(target.dataset.first), last: Number(target.dataset.last) });
    } else if (target.closest("svg.chart")) {
      const box = target.closest("svg").getBoundingClientRect();
      const cell = Math.floor(((clientY - box.top) / box.width) * across) * across + Math.floor(((clientX - box.left) / box.width) * across);
      const first = cell * each;
      if (first < pages) choose({ source, size, first, last: Math.min(first + each, pages) - 1 });
    }
  });
}
