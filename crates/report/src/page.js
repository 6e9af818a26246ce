"use strict";
for (const box of document.querySelectorAll("[data-epochs]")) {
  const { epochs, counts } = JSON.parse(box.dataset.epochs);
  const slider = box.querySelector("input");
  const told = box.querySelector("output");
  const rows = [...box.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("td")]);
  slider.addEventListener("input", () => {
    const at = Number(slider.value);
    told.value = String(epochs[at]);
    slider.setAttribute("aria-valuetext", "epoch " + epochs[at]);
    counts[at].forEach((row, i) => {
      const total = row.reduce((sum, count) => sum + count, 0);
      row.forEach((count, j) => {
        const share = total === 0 ? 0 : count / total;
        const cell = rows[i][j];
        cell.style.setProperty("--share", share.toFixed(3));
        cell.classList.toggle("strong", share > 0.65);
        cell.querySelector("b").textContent = String(count);
        cell.querySelector("small").textContent = total === 0 ? "–" : (100 * share).toFixed(1) + " %";
      });
      rows[i][row.length].textContent = String(total);
    });
  });
  box.querySelector(".slider").hidden = false;
}
