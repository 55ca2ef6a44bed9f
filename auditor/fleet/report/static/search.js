"use strict";
// The search box: rows that hold what is typed stay, and sections without one are folded away.
const box = document.getElementById("search");
const count = document.getElementById("search-count");
const rows = [...document.querySelectorAll("tbody tr")];
const texts = rows.map((row) => row.textContent.toLowerCase());
box.addEventListener("input", () => {
  const wanted = box.value.trim().toLowerCase();
  let shown = 0;
  rows.forEach((row, at) => {
    const fits = !wanted || texts[at].includes(wanted);
    row.hidden = !fits;
    shown += fits ? 1 : 0;
  });
  document.querySelectorAll("details").forEach((each) => {
    if (wanted) each.open = [...each.querySelectorAll("tbody tr")].some((row) => !row.hidden);
  });
  count.textContent = wanted ? `${shown} rows` : "";
});
