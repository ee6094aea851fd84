// What the page does in the browser alone: paste, keys on the Rate tab, sorting, and descriptions for charts.
(() => {
  const visible = (element) => element && element.offsetParent !== null;
  const typing = (element) =>
    element && (element.isContentEditable || element.tagName === "TEXTAREA" ||
      (element.tagName === "INPUT" && ["text", "number", "search"].includes(element.type)));

  // A pasted picture goes to the first free file input of the tab that is open.
  document.addEventListener("paste", (event) => {
    const pictures = [...(event.clipboardData?.files || [])].filter((file) => file.type.startsWith("image/"));
    if (!pictures.length || typing(event.target)) return;
    const inputs = [...document.querySelectorAll(".intake")].filter(visible)
      .map((block) => block.querySelector("input[type=file]")).filter(Boolean);
    if (!inputs.length) return;
    const transfer = new DataTransfer();
    pictures.forEach((file) => transfer.items.add(file));
    inputs[0].files = transfer.files;
    inputs[0].dispatchEvent(new Event("change", { bubbles: true }));
    event.preventDefault();
  });

  // Keys 1 to 5 choose a word, Enter submits and goes on.
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const words = document.querySelectorAll("#rate-word input[type=radio]");
    if (!words.length || !visible(words[0].closest("label"))) return;
    if (event.key >= "1" && event.key <= "5" && !words[0].disabled) {
      words[Number(event.key) - 1].focus();
      words[Number(event.key) - 1].click();
      event.preventDefault();
    } else if (event.key === "Enter" && !["BUTTON", "A", "SUMMARY"].includes(event.target.tagName)) {
      const button = ["rate-submit", "rate-next"].map((id) => document.getElementById(id)).find(visible);
      if (button) {
        button.click();
        event.preventDefault();
      }
    }
  });

  // A heading's button sorts its table by that column, and turns the order round when pressed again.
  document.addEventListener("click", (event) => {
    const heading = event.target.closest?.("table.sortable th");
    if (!heading || !event.target.closest("button")) return;
    const table = heading.closest("table");
    const headings = [...heading.parentElement.children];
    // The first heading spans the thumbnail and the name.
    const column = headings.indexOf(heading) + 1;
    const down = heading.getAttribute("aria-sort") === "none" ? heading.dataset.kind === "number"
      : heading.getAttribute("aria-sort") === "ascending";
    const value = (row) => {
      const given = row.children[column].dataset.value;
      return heading.dataset.kind === "number" ? Number(given) : given;
    };
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      const order = typeof x === "number" ? x - y : x.localeCompare(y);
      return down ? -order : order;
    });
    headings.forEach((one) => one.setAttribute("aria-sort", "none"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    table.tBodies[0].append(...rows);
  });

  // A chart is one picture to a screen reader, described by the words under it.
  const describe = () => {
    document.querySelectorAll(".chart[id] .js-plotly-plot").forEach((plot) => {
      const words = document.getElementById(plot.closest(".chart").id + "-words");
      if (!words || plot.getAttribute("aria-label") === words.textContent) return;
      plot.setAttribute("role", "img");
      plot.setAttribute("aria-label", words.textContent);
    });
  };
  new MutationObserver(describe).observe(document.documentElement, { childList: true, subtree: true });
})();
